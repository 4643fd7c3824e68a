"""PLACEHOLDER 350m

    python -m linkjax.train --config=configs/link_350m.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "350m", steps=30_000, learning_rate=3e-4, microbatches=1)
