"""24 layers, 2048 wide: 1.3 billion weights, on one's own text (see local_text.py); settings as in link.py.

    python -m linkjax.train --config=configs/link_1b.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

For a TPU v5e 4x4 or more; all chips share the weights (mesh.fsdp). Memory is in
docs/sizes.md; on TPUs
it has not been run, so how long it takes is not known. `link_1b.py:cpu` makes a tiny run on a CPU.
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "1.3b", steps=100_000, learning_rate=2e-4, microbatches=4)
