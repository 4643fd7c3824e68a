"""Continued pretraining: a finished model goes on with English, swapped words and a target language.

    python -m linkjax.train --config=configs/continued.py --config.init_from=Qwen3-0.6B-Base \\
        --config.english='en/*.txt' --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

`init_from` names a folder with a Llama or a Qwen3 (docs/models.md), which says the model's shape and tokenizer. Half of
the tokens stay English, so that it is not forgotten; the learning rate rises again over a tenth of the steps. These are
customary values, tuned on nothing: a billion tokens in rows of 1024, one accelerator with room for 16 bytes a weight.
"""

from linkjax.config import add_settings, is_cpu_test, run_config
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from tasks.text_files import LocalTextSettings


def get_config(argument: str = ""):
    config = run_config(
        task_module="tasks.local_text",
        mixture="local_text",
        steps=4000,
        batch_size=256,
        sequence_length=1024,
        microbatches=16,
        most_segments=64,
        virtual_shards=16,
        workers=4,
        model=ModelSettings(dtype="bfloat16", remat="full"),
        optimizer=OptimizerSettings(learning_rate=5e-5, final_share=0.1, warmup_share=0.1, weight_decay=0.01),
    )
    add_settings(config, LocalTextSettings)
    config.target_rate = 0.5
    if is_cpu_test(argument):
        config.steps, config.eval_every, config.checkpoint_every = 20, 10, 10
        config.batch_size, config.sequence_length, config.microbatches = 8, 64, 1
        config.virtual_shards, config.workers = 8, 0
        config.model.update(dtype="float32", remat="none")
        config.optimizer.learning_rate = 1e-3
    return config
