"""PLACEHOLDER 760m

    python -m linkjax.train --config=configs/link_760m.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "760m", steps=60_000, learning_rate=2.5e-4, microbatches=2)
