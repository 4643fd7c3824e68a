"""24 layers, 2048 wide: 1.3 billion weights, on one's own text (see local_text.py); settings as in link.py.

    python -m linkjax.train --config=configs/link_1b.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

For 16 TPU v5e chips (4x4) or more, which all share the weights (mesh.fsdp): compiled for 16 it is allocated 7.5 of
the 15.75 GiB of each (docs/sizes.md). How long it takes has not been measured. `:cpu` after its name makes a tiny run.
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "1.3b", steps=100_000, learning_rate=2e-4, microbatches=4)
