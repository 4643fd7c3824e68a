"""PLACEHOLDER 2.7b

    python -m linkjax.train --config=configs/link_3b.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "2.7b", steps=150_000, learning_rate=1.6e-4, microbatches=16, length=2048)
