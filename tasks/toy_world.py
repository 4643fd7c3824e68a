"""The toy world as SeqIO tasks.

Importing this module registers, for the default world: `toy_world_english` (with LINK), `toy_world_target`,
the mixture `toy_world` of both, and the evaluation task `toy_world_facts`. `register` does it for others.
"""

import functools
import hashlib
import pathlib
import tempfile

from linkjax.config import section
from linkjax.data import tasks
from linkjax.substitution import LinkSettings
from tasks.world import LANGUAGE, VALUES_PER_RELATION, World, WorldSettings

MIXTURE = "toy_world"
EVALUATIONS = ("toy_world_facts",)
TARGET_RATE = 0.1


def register(world: WorldSettings = WorldSettings(), link: LinkSettings = LinkSettings()) -> str:
    """Registers the tasks of a world and returns the mixture's name. `link` is for plain SeqIO programs."""
    said = World(world)
    lexicon = functools.cache(lambda: _write_lexicon(said))
    for language, name in (("en", "toy_world_english"), (LANGUAGE, "toy_world_target")):
        tasks.add_text_task(
            name,
            functools.partial(said.sentences, language),
            splits=("train", "heldout"),
            language=language,
            lexicons={LANGUAGE: lexicon} if language == "en" else None,
            link=link,
        )
    tasks.add_ranking_task(
        EVALUATIONS[0],
        lambda: (item for language in ("en", LANGUAGE) for item in said.questions(language)),
        metric="fact_accuracy",
        chance=1 / VALUES_PER_RELATION,
    )
    rates = {"toy_world_english": 1 - TARGET_RATE - world.word_list_rate, "toy_world_target": TARGET_RATE}
    if world.word_list_rate:
        tasks.add_word_list_task("toy_world_word_list", lexicon, language=LANGUAGE)
        rates["toy_world_word_list"] = world.word_list_rate
    tasks.add_mixture(MIXTURE, rates)
    return MIXTURE


def configure(config) -> None:
    """Registers the world of a run's config."""
    register(section(config.get("world"), WorldSettings), section(config.link, LinkSettings))


def _write_lexicon(world: World) -> str:
    """Writes the world's word list as a TSV file like any user's and returns its path."""
    text = "".join(f"{source}\t{target}\n" for source, target in world.lexicon_pairs).encode()
    path = pathlib.Path(tempfile.gettempdir()) / f"linkjax-toy-world-{hashlib.sha256(text).hexdigest()[:16]}.tsv"
    if not path.exists() or path.read_bytes() != text:
        path.write_bytes(text)
    return str(path)


register()
