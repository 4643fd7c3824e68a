"""What the configs link_137m.py to link_3b.py have in common.

From arXiv 2411.12986: 1024 rows a step, 24 layers of width 1024 or 2048 with 16 heads, rows of
1024 tokens (2048 for 2.7B), 30, 100 and 150 thousand steps for 300M, 1.3B and 2.7B, Adam with 0.9 and 0.999, weight
decay 0.01, clipping at 1, a cosine to 1e-5 after 1 % of warm-up, peaks of 3e-4 (300M) and 2e-4 (1.3B), 5 % of the
tokens in the target language. Our choice, as it is not published: as many key and value heads as query heads, the
hidden width (8/3 of the width), 50,000 pieces, the other peaks and steps, and all that is not named here.
"""

from linkjax.config import add_settings, is_cpu_test, run_config
from linkjax.data.tokenizer import TokenizerSettings
from linkjax.model.sizes import SIZES
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings
from tasks.text_files import LocalTextSettings

_LAST_LEARNING_RATE = 1e-5


def link_config(argument: str, size: str, *, steps: int, learning_rate: float, microbatches: int, length: int = 1024):
    """A run of one of `linkjax.model.sizes` over one's own text; `argument` is what stands behind the config's name."""
    config = run_config(
        task_module="tasks.local_text",
        mixture="local_text",
        steps=steps,
        batch_size=1024,
        sequence_length=length,
        microbatches=microbatches,
        most_segments=64,
        virtual_shards=64,  # as many processes can read, and no more documents are needed
        workers=4,
        eval_every=1000,
        checkpoint_every=1000,
        tokenizer=TokenizerSettings(kind="unigram", vocabulary_size=50_000),
        model=SIZES[size],
        optimizer=OptimizerSettings(
            learning_rate=learning_rate,
            final_share=_LAST_LEARNING_RATE / learning_rate,
            warmup_share=0.01,
            beta2=0.999,
            weight_decay=0.01,
        ),
        mesh=MeshSettings(data=1, fsdp=0),
    )
    add_settings(config, LocalTextSettings)
    config.target_rate = 0.05
    if is_cpu_test(argument):
        config.steps, config.eval_every, config.checkpoint_every = 20, 10, 10
        config.batch_size, config.sequence_length, config.microbatches = 8, 128, 2
        config.virtual_shards, config.workers, config.tokenizer.vocabulary_size = 8, 0, 512
        config.model.update(layers=2, width=64, heads=4, kv_heads=4, head_width=16, hidden=128)
    return config
