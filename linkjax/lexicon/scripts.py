"""Scripts: which a language is written in, which a character is of, and which have no spaces between words."""

import functools
import unicodedata

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS

_UNSEGMENTED = frozenset({"Hani", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr"})

# Codes of ISO 15924 that stand for several scripts used together, or for a variant of one.
_PARTS = {"Jpan": "Hira Kana Hani", "Kore": "Hang Hani", "Hans": "Hani Bopo", "Hant": "Hani Bopo", "Hrkt": "Hira Kana"}

# Languages printed in more than one script, by CLDR's supplemental data
# (https://github.com/unicode-org/cldr/blob/main/common/supplemental/supplementalData.xml, languageData).
_SEVERAL = {
    "ace": "Latn Arab",
    "az": "Latn Cyrl Arab",
    "bal": "Arab Latn",
    "be": "Cyrl Latn",
    "ber": "Tfng Latn Arab",
    "bjn": "Latn Arab",
    "bm": "Latn Nkoo",
    "bs": "Latn Cyrl",
    "ckb": "Arab Latn",
    "cnr": "Latn Cyrl",
    "cr": "Cans Latn",
    "crh": "Latn Cyrl",
    "doi": "Deva Arab",
    "ff": "Latn Adlm",
    "ha": "Latn Arab",
    "iu": "Cans Latn",
    "jv": "Latn Java",
    "kaa": "Cyrl Latn",
    "kk": "Cyrl Latn Arab",
    "kok": "Deva Latn",
    "kr": "Latn Arab",
    "ks": "Arab Deva",
    "ku": "Latn Arab Cyrl",
    "ky": "Cyrl Arab Latn",
    "lad": "Hebr Latn",
    "mn": "Cyrl Mong",
    "mni": "Beng Mtei",
    "ms": "Latn Arab",
    "nan": "Hani Bopo Latn",
    "pa": "Guru Arab",
    "rom": "Latn Cyrl",
    "sat": "Olck Deva Beng Latn Orya",
    "sd": "Arab Deva",
    "shi": "Tfng Latn Arab",
    "so": "Latn Arab Osma",
    "sr": "Cyrl Latn",
    "su": "Latn Sund",
    "tg": "Cyrl Arab Latn",
    "tk": "Latn Cyrl Arab",
    "tt": "Cyrl Latn",
    "tzm": "Latn Tfng Arab",
    "ug": "Arab Cyrl Latn",
    "uz": "Latn Cyrl Arab",
    "vai": "Vaii Latn",
    "zgh": "Tfng Latn",
}

# First words of the Unicode names of a script's letters; living scripts and a few others.
_NAMES = """ADLAM=Adlm ARABIC=Arab ARMENIAN=Armn BALINESE=Bali BAMUM=Bamu BASSA=Bass BATAK=Batk BENGALI=Beng
BOPOMOFO=Bopo BUGINESE=Bugi BUHID=Buhd CANADIAN=Cans CHAKMA=Cakm CHAM=Cham CHEROKEE=Cher CJK=Hani COPTIC=Copt
CYRILLIC=Cyrl DESERET=Dsrt DEVANAGARI=Deva ETHIOPIC=Ethi GEORGIAN=Geor GOTHIC=Goth GREEK=Grek GUJARATI=Gujr
GUNJALA=Gong GURMUKHI=Guru HANGUL=Hang HANIFI=Rohg HANUNOO=Hano HEBREW=Hebr HENTAIGANA=Hira HIRAGANA=Hira
IDEOGRAPHIC=Hani JAVANESE=Java KANNADA=Knda KATAKANA=Kana KATAKANA-HIRAGANA=Kana KAYAH=Kali KHMER=Khmr LAO=Laoo
LATIN=Latn LEPCHA=Lepc LIMBU=Limb LISU=Lisu MALAYALAM=Mlym MASARAM=Gonm MEDEFAIDRIN=Medf MEETEI=Mtei MENDE=Mend
MIAO=Plrd MONGOLIAN=Mong MRO=Mroo MYANMAR=Mymr NEW=Talu NKO=Nkoo NYIAKENG=Hmnp OL=Olck ORIYA=Orya OSAGE=Osge
OSMANYA=Osma PAHAWH=Hmng REJANG=Rjng RUNIC=Runr SAMARITAN=Samr SAURASHTRA=Saur SINHALA=Sinh SORA=Sora
SUNDANESE=Sund SYLOTI=Sylo SYRIAC=Syrc TAGALOG=Tglg TAGBANWA=Tagb TAMIL=Taml TELUGU=Telu THAANA=Thaa THAI=Thai
TIBETAN=Tibt TIFINAGH=Tfng VAI=Vaii VEDIC=Deva WANCHO=Wcho WARANG=Wara YI=Yiii"""
_BY_NAME = dict(name.split("=") for name in _NAMES.split())
_BY_NAME["TAI LE"], _BY_NAME["TAI THAM"], _BY_NAME["TAI VIET"] = "Tale", "Lana", "Tavt"


def scripts_of(language: str) -> frozenset[str] | None:
    """ISO 15924 codes of the scripts a language is written in; None where it is not known.

    Args:
      language: BCP 47 code. A script it names (`sr-Latn`) is the only one.
    """
    try:
        tag = langcodes.Language.get(language).prefer_macrolanguage()
    except langcodes.LanguageTagError:
        return None
    if tag.script:
        return _parts(tag.script) if tag.is_valid() else None
    if tag.language in _SEVERAL:
        return frozenset(_SEVERAL[tag.language].split())
    # Anything it has never heard of, `langcodes` takes for English.
    if tag.language == "und" or tag.language not in LIKELY_SUBTAGS:
        return None
    return _parts(tag.maximize().script)


def scripts_in(script: str) -> frozenset[str] | None:
    """The scripts whose characters a code of ISO 15924 stands for, as Hans for Hani and Bopo; None for no known one."""
    parts = _parts(script)
    return parts if parts <= {*_BY_NAME.values()} else None


@functools.lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str:
    """ISO 15924 code of a character's script; 'Zyyy' for those of none, as digits and punctuation."""
    if unicodedata.category(character)[0] not in "LM" and character != "〇":
        return "Zyyy"
    words = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").split(" ")
    if words[:2] == ["MODIFIER", "LETTER"] and words[2:3] in (["SMALL"], ["CAPITAL"]):
        return "Latn"
    return _BY_NAME.get(words[0]) or _BY_NAME.get(" ".join(words[:2]), "Zyyy")


def starts_unsegmented(text: str) -> bool:
    """Whether a text's first character is of a script written without spaces between words."""
    return script_of(text[:1] or " ") in _UNSEGMENTED


def ends_unsegmented(text: str) -> bool:
    """Whether a text's last character is of a script written without spaces between words."""
    return script_of(text[-1:] or " ") in _UNSEGMENTED


def _parts(script: str) -> frozenset[str]:
    return frozenset(_PARTS.get(script, script).split())
