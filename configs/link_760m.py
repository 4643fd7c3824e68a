"""24 layers, 1536 wide: 756 million weights, on one's own text (see local_text.py); settings as in link.py.

    python -m linkjax.train --config=configs/link_760m.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

For 16 TPU v5e chips (4x4) or more, which all share the weights (mesh.fsdp): compiled for 16 it is allocated 10.0 of
the 15.75 GiB of each (docs/sizes.md). How long it takes has not been measured. `:cpu` after its name makes a tiny run.
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "760m", steps=60_000, learning_rate=2.5e-4, microbatches=2)
