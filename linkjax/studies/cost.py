"""What a study will cost, before anything is run."""

import pathlib
import shlex

from linkjax.config import section
from linkjax.model.decoder import ModelSettings
from linkjax.model.flops import parameters, training_flops
from linkjax.studies.arms import Study
from linkjax.studies.runs import list_runs

_GPU_FLOPS = 989e12 * 0.4  # an H100's dense bfloat16 peak, two fifths of it used


def estimate(study: Study, out: pathlib.Path) -> str:
    """Runs, tokens, floating-point operations and hours, and the command of one run."""
    runs = list_runs(study, out)
    tokens = flops = 0
    sizes: dict[str, int] = {}
    for run in runs:
        config, model = run.config, section(run.config.model, ModelSettings)
        of_run = config.steps * config.batch_size * config.sequence_length
        vocabulary = config.model.vocabulary or config.tokenizer.vocabulary_size
        tokens += of_run
        flops += of_run * training_flops(model, vocabulary, config.sequence_length).total
        sizes[f"{parameters(model, vocabulary).total:,}"] = sizes.get(f"{parameters(model, vocabulary).total:,}", 0) + 1
    lines = [
        f"{len(runs):,} runs: {len(study.arms)} arms, up to {len(study.seeds)} seeds,"
        f" {len({run.data for run in runs}):,} prepared folders",
        *(f"  {count:,} of a model with {size} parameters" for size, count in sizes.items()),
        f"{tokens:,} tokens, {flops:.3g} floating-point operations",
        f"{flops / _GPU_FLOPS / 3600:,.2f} hours of one H100 at 40 % of its peak of 989e12 a second",
        "",
        "one of them:",
        shlex.join(["python", "-m", "linkjax.train", *runs[0].flags, f"--workdir={runs[0].workdir}"]),
    ]
    return "\n".join(lines)
