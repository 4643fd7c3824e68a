"""A user's own text files as SeqIO tasks: English with LINK, and the target language, or several.

Nothing is registered on import: there are no files yet. `register` does it.
"""

from linkjax.config import section
from linkjax.data import tasks
from linkjax.substitution import LinkSettings
from tasks.text_files import LocalText, LocalTextSettings, task_name

MIXTURE = "local_text"


def register(settings: LocalTextSettings, link: LinkSettings = LinkSettings()) -> str:
    """Registers `local_text_english`, `local_text_LANGUAGE` and their mixture; returns its name."""
    lexicons = {language: settings.lexicon.replace("{language}", language) for language in settings.languages}
    for language in ("en", *settings.languages):
        text = LocalText.of(settings, language)
        tasks.add_text_task(
            text.name,
            text,
            splits=("train", "heldout") if text.heldout_files or settings.heldout_share else ("train",),
            language=language,
            lexicons=lexicons if language == "en" else None,
            link=link,
        )
    count = len(settings.languages)
    rates = {"local_text_english": 1 - settings.target_rate - settings.word_list_rate}
    rates |= {task_name(language): settings.target_rate / count for language in settings.languages}
    if settings.word_list_rate:
        for language, lexicon in lexicons.items():
            name = task_name(f"word_list_{language}")
            tasks.add_word_list_task(name, lexicon, language=language)
            rates[name] = settings.word_list_rate / count
    tasks.add_mixture(MIXTURE, rates)
    return MIXTURE


def configure(config) -> None:
    """Registers the tasks of a run's config."""
    register(section(config, LocalTextSettings), section(config.link, LinkSettings))
