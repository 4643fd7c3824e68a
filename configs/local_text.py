"""A model from one's own files: English text, a little target-language text, and a bilingual word list.

    python -m linkjax.train --config=configs/local_text.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

Plain text, one document a line (--config.document=file: a file), JSON lines, Parquet, TFRecord or TFDS, compressed or
not (docs/data.md). A small share of the documents is held out for bits per byte, or the files named by
--config.english_heldout and --config.target_heldout.
A million weights and as many in the embeddings: 20 minutes on two CPU cores. For an accelerator take a copy
with a model of `linkjax.model.sizes.SIZES`, a larger batch and more steps.
"""

from linkjax.config import add_settings, is_cpu_test, run_config
from linkjax.data.tokenizer import TokenizerSettings
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from tasks.text_files import LocalTextSettings


def get_config(argument: str = ""):
    config = run_config(
        task_module="tasks.local_text",
        mixture="local_text",
        steps=2000,
        sequence_length=128,
        tokenizer=TokenizerSettings(kind="unigram", vocabulary_size=8192),
        model=ModelSettings(layers=4, width=128, heads=4, kv_heads=4, head_width=32, hidden=384),
        optimizer=OptimizerSettings(learning_rate=3e-3),
    )
    add_settings(config, LocalTextSettings)
    if is_cpu_test(argument):
        config.steps, config.eval_every, config.checkpoint_every = 20, 10, 10
        config.batch_size, config.workers, config.tokenizer.vocabulary_size = 8, 0, 512
        config.model.layers, config.model.width = 2, 64
    return config
