"""Everything that is measured of a checkpoint, built once from a prepared folder."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import Tokenizer
from linkjax.evaluation.ranking import Ranking, accuracies
from linkjax.evaluation.scoring import PackedSequences, ScoreRows


class Suite:
    """The evaluation tasks and held-out texts of a prepared folder."""

    def __init__(
        self,
        prepared: Prepared,
        length: int,
        rows_per_batch: int,
        tasks: Sequence[str] | None = None,
        tokenizer: Tokenizer | None = None,
        most_segments: int = 0,
    ):
        """Args: `tasks` to rank, by default all of the folder's; the model's `tokenizer`, by default the folder's."""
        tokenizer = tokenizer or prepared.tokenizer
        self._metrics = {task["name"]: task["metric"] for task in prepared.manifest["evaluations"]}
        names = self._metrics if tasks is None else tasks
        shape = length, rows_per_batch, most_segments
        self._rankings = {name: Ranking(prepared.items(name), tokenizer, *shape) for name in names}
        self._texts: dict[str, tuple[PackedSequences, int]] = {}
        for language in prepared.languages:
            texts = [
                document.text
                for component in prepared.components
                if component["language"] == language
                for document in prepared.heldout(component)
            ]
            if texts:
                sequences = [(tokenizer.encode(text), 0) for text in texts]
                size = sum(len(text.encode()) for text in texts)
                self._texts[language] = PackedSequences(sequences, *shape), size

    @classmethod
    def of(cls, run: Any, prepared: Prepared, **others: Any) -> "Suite":
        """In rows of the shape that a run trains on."""
        return cls(prepared, run.sequence_length, run.rows_at_once, most_segments=run.most_segments, **others)

    def run(self, score_rows: ScoreRows) -> tuple[dict[str, float], list[dict]]:
        """Metrics, and one record per ranked item.

        `bits_per_byte/LANGUAGE` is over the UTF-8 bytes of held-out text, without the end of a document
        (as lm-evaluation-harness has it); documents longer than a row are read in stretches, each without
        what came before.
        """
        metrics: dict[str, float] = {}
        records: list[dict] = []
        for name, ranking in self._rankings.items():
            task_records = ranking.score(score_rows)
            metrics |= accuracies(task_records, self._metrics[name])
            records += [{"task": name, **record} for record in task_records]
        for language, (sequences, size) in self._texts.items():
            losses, _ = sequences.score(score_rows)
            metrics[f"bits_per_byte/{language}"] = float(losses.sum() / np.log(2) / size)
        return metrics, records
