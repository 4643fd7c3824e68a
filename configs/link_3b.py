"""32 layers, 2560 wide: 2.7 billion weights, on one's own text (see local_text.py); settings as in link.py.

    python -m linkjax.train --config=configs/link_3b.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

For 16 TPU v5e chips (4x4) or more, which all share the weights (mesh.fsdp): compiled for 16 it is allocated 10.5 of
the 15.75 GiB of each (docs/sizes.md). How long it takes has not been measured. `:cpu` after its name makes a tiny run.
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "2.7b", steps=150_000, learning_rate=1.6e-4, microbatches=16, length=2048)
