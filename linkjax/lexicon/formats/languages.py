"""Language codes of a file against the language the user asks for."""

import functools

import langcodes

from linkjax.errors import UserError
from linkjax.lexicon.formats.reading import Reading


def require_language(reading: Reading) -> str:
    """The target language the user names.

    Raises:
      UserError: none is named, though the file holds many, or it is no language.
    """
    tag = reading.options.language
    if not tag:
        raise UserError(f"{reading.path} holds many languages: say which one with --language (BCP 47, as sw).")
    if not _base(tag):
        raise UserError(f"--language={tag} is not a language: give a BCP 47 code, as sw, quy or zh-Hant.")
    return tag


@functools.lru_cache(maxsize=1 << 16)
def is_same_language(code: str, tag: str) -> bool:
    """Whether a file's code (sw, swa, swh) is of the language of a BCP 47 tag, whatever the script and region.

    A macrolanguage and the member most people mean by it count as one (swa and swh, est and ekk, zho and cmn, nb and
    no).
    """
    return bool(_base(code)) and _base(code) == _base(tag)


@functools.lru_cache(maxsize=1 << 16)
def is_traditional_chinese(tag: str) -> bool:
    """Whether Chinese of this tag is written in traditional characters: zh-Hant, zh-TW, zh-HK."""
    try:
        return bool(tag) and langcodes.Language.get(tag).maximize().script == "Hant"
    except langcodes.LanguageTagError:
        return False


def _base(code: str) -> str:
    """The shortest code of the language alone, '' if there is no such language."""
    try:
        language = langcodes.Language.get(code)
        found = (language.prefer_macrolanguage().language or "") if language.is_valid() else ""
        return "no" if found == "nb" else found  # Norwegian without more is Bokmaal
    except langcodes.LanguageTagError:
        return ""
