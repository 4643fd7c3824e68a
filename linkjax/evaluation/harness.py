"""A model of ours as one that lm-evaluation-harness asks (github.com/EleutherAI/lm-evaluation-harness, 0.4.13).

The row's beginning is what the harness calls the prefix token: a text alone is read as in training.
"""

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from linkjax.errors import UserError
from linkjax.evaluation.ranking import encode_pair
from linkjax.evaluation.scoring import PackedSequences
from linkjax.evaluation.suite import row_shape
from linkjax.model.sampling import Sampling
from linkjax.training.load import Loaded
from linkjax.training.processes import several

try:
    from lm_eval import simple_evaluate, utils
    from lm_eval.api.model import TemplateLM
    from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
    from lm_eval.tasks import TaskManager
except ImportError as error:
    raise UserError("asking through lm-evaluation-harness needs a package: pip install 'linkjax[eval]'.") from error


_MOST_WRITTEN = 256  # pieces, where a task does not say: the harness's own number
Write = Callable[..., list[list[int]]]  # `linkjax.generate.generate`


class HarnessModel(TemplateLM):
    """Loglikelihoods of a loaded checkpoint, and what it writes."""

    def __init__(self, model: Loaded, write: Write | None = None, seed: int = 0):
        """Args: `write`, to answer tasks that have the model write; `seed`, of what it writes."""
        super().__init__()
        self._write, self._seed, self._asked = write, seed, 0
        self._model, self._score = model, model.trainer.scorer(model.params)
        self.max_length = model.settings.sequence_length

    @property
    def eot_token_id(self) -> int:
        return self._model.tokenizer.eos

    @property
    def prefix_token_id(self) -> int:
        return self._model.tokenizer.start

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        ids = self._model.tokenizer.encode(string)
        return ids if add_special_tokens is False else [self.prefix_token_id, *ids]

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        ids, given = encode_pair(self._model.tokenizer, context, continuation)
        return [self.prefix_token_id, *ids[:given]], ids[given:]

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        sequences = []
        for _, context, continuation in requests:
            before = context[1:] if context[0] == self.prefix_token_id else context
            sequences.append((before + continuation, len(before)))
        losses, greedy = PackedSequences(sequences, *row_shape(self._model.settings), start=self.prefix_token_id).score(
            self._score
        )
        answers = [(-float(loss), bool(hit)) for loss, hit in zip(losses, greedy, strict=True)]
        for (asked, _, _), answer in zip(requests, answers, strict=True):
            if asked is not None:
                self.cache_hook.add_partial("loglikelihood", asked, answer)
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        windows, counts = [], []
        for (text,) in (request.args for request in requests):
            ids = self._model.tokenizer.encode(text)
            found = utils.get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, context_len=1)
            parts = [(None, *utils.make_disjoint_window(window)) for window in found]
            windows += parts
            counts.append(len(parts))
        losses = [answer[0] for answer in self._loglikelihood_tokens(windows)]
        return [float(part.sum()) for part in np.split(np.array(losses), np.cumsum(counts)[:-1])] if counts else []

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Texts up to the first of `until`, or to `max_gen_toks`, of which a row has room for half of it at least.

        What is longer than the rest of the row loses its beginning.
        """
        if self._write is None or several():
            raise UserError("tasks that have the model write take one process: start it alone, or choose other tasks.")
        answers: list[str] = []
        rows = self._model.settings.rows_at_once
        for start in range(0, len(requests), rows):
            some = [request.args for request in requests[start : start + rows]]
            found = [""] * len(some)
            for asked in {json.dumps(kwargs, sort_keys=True): kwargs for _, kwargs in some}.values():
                mine = [place for place, (_, kwargs) in enumerate(some) if kwargs == asked]
                for place, text in zip(mine, self._written([some[place][0] for place in mine], asked), strict=True):
                    found[place] = text
            answers += found
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, answer)
        return answers

    def _written(self, contexts: Sequence[str], asked: dict[str, Any]) -> list[str]:
        settings = normalize_gen_kwargs(asked, _MOST_WRITTEN)
        tokens = min(settings["max_gen_toks"], self.max_length // 2)
        tokenizer, until = self._model.tokenizer, settings["until"]
        # A piece before them is the prompt's start.
        prompts = [tokenizer.encode(context)[-(self.max_length - tokens - 1) :] for context in contexts]
        sampling = Sampling(
            float(settings["temperature"]) if settings["do_sample"] else 0.0,
            int(settings.get("top_k", 0)),
            float(settings.get("top_p", 1.0)),
        )

        def text_of(place: int, pieces: list[int]) -> str:
            whole = tokenizer.decode(prompts[place] + pieces)
            return whole[len(tokenizer.decode(prompts[place])) :]

        def stop(place: int, pieces: list[int]) -> bool:
            return any(term in text_of(place, pieces) for term in until if term)

        self._asked += 1  # what is asked again, in another batch, is to be answered anew
        seed = int(np.random.SeedSequence([self._seed, self._asked]).generate_state(1)[0] >> 1)
        written = self._write(self._model, prompts, sampling, tokens, seed, stop=stop)
        return [postprocess_generated_text(text_of(place, pieces), until, None) for place, pieces in enumerate(written)]


def ask(
    model: Loaded, tasks: Sequence[str], include_path: str, shots: int | None, seed: int, write: Write | None = None
) -> dict[str, Any]:
    """What `lm_eval.simple_evaluate` returns for these tasks, with its samples.

    Args:
      include_path: a folder of task definitions, in place of the harness's own; '' = those.
      write: see `HarnessModel`.

    Raises:
      UserError: a task is not known, or cannot be read.
    """
    if include_path and not pathlib.Path(include_path).is_dir():
        raise UserError(f"--include_path={include_path} is no folder: name one with task definitions (YAML).")
    manager = TaskManager(include_path=include_path or None, include_defaults=not include_path)
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise UserError(f"lm-evaluation-harness knows no task '{unknown[0]}': see its list, or give --include_path.")
    try:
        return simple_evaluate(
            HarnessModel(model, write, seed),
            tasks=list(tasks),
            task_manager=manager,
            num_fewshot=shots,
            fewshot_random_seed=seed,
            bootstrap_iters=0,
        )
    except OSError as error:  # as all are that say that data cannot be had
        said = " ".join(str(error).split())
        raise UserError(f"lm-evaluation-harness cannot read {', '.join(tasks)}: {said:.300}") from error
