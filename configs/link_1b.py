"""PLACEHOLDER 1.3b

    python -m linkjax.train --config=configs/link_1b.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "1.3b", steps=100_000, learning_rate=2e-4, microbatches=4)
