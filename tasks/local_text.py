"""A user's own text files as SeqIO tasks: English with LINK, and the target language.

Nothing is registered on import: there are no files yet. `register` does it.
"""

from linkjax.config import section
from linkjax.data import tasks
from linkjax.substitution import LinkSettings
from tasks.text_files import LocalText, LocalTextSettings, find_files

MIXTURE = "local_text"


def register(settings: LocalTextSettings, link: LinkSettings = LinkSettings()) -> str:
    """Registers `local_text_english`, `local_text_target` and their mixture; returns its name."""
    sides = (
        ("local_text_english", "en", settings.english, settings.english_heldout),
        ("local_text_target", settings.target_language, settings.target, settings.target_heldout),
    )
    for name, language, patterns, heldout_patterns in sides:
        text = LocalText(
            name,
            find_files(patterns, name),
            find_files(heldout_patterns, name) if heldout_patterns else (),
            settings.document,
            settings.heldout_share,
        )
        tasks.add_text_task(
            name,
            text.documents,
            splits=("train", "heldout") if text.heldout_files or settings.heldout_share else ("train",),
            language=language,
            lexicon=settings.lexicon if language == "en" else None,
            link=link,
        )
    rate = settings.target_rate
    tasks.add_mixture(MIXTURE, {"local_text_english": 1 - rate, "local_text_target": rate})
    return MIXTURE


def configure(config) -> None:
    """Registers the tasks of a run's config."""
    register(section(config, LocalTextSettings), section(config.link, LinkSettings))
