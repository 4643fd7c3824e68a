"""24 layers, 1024 wide: 360 million weights, on one's own text (see local_text.py); settings as in link.py.

    python -m linkjax.train --config=configs/link_350m.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

For a TPU v5e 4x4 or more; all chips share the weights (mesh.fsdp). Memory is in
docs/sizes.md; on TPUs
it has not been run, so how long it takes is not known. `link_350m.py:cpu` makes a tiny run on a CPU.
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "350m", steps=30_000, learning_rate=3e-4, microbatches=2)
