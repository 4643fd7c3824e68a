"""32 layers, 2560 wide: 2.7 billion weights, on one's own text (see local_text.py); settings as in link.py.

    python -m linkjax.train --config=configs/link_3b.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

For a TPU v5e 4x4 or more; all chips share the weights (mesh.fsdp). Memory is in
docs/sizes.md; on TPUs
it has not been run, so how long it takes is not known. `link_3b.py:cpu` makes a tiny run on a CPU.
"""

from configs.link import link_config


def get_config(argument: str = ""):
    return link_config(argument, "2.7b", steps=150_000, learning_rate=1.6e-4, microbatches=16, length=2048)
