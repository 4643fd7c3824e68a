"""Everything that is measured of a checkpoint, built once from a prepared folder."""

from collections.abc import Sequence
from typing import Any

from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import AnyTokenizer
from linkjax.evaluation.language import heldout_texts
from linkjax.evaluation.ranking import Ranking, accuracies
from linkjax.evaluation.scoring import ALIGNED, ScoreRows


class Suite:
    """The evaluation tasks and held-out texts of a prepared folder, as a run measures them on its way.

    What guides a run is not what it is judged by: tasks that have validation items are scored on those.
    """

    def __init__(
        self,
        prepared: Prepared,
        length: int,
        rows_per_batch: int,
        tasks: Sequence[str] | None = None,
        tokenizer: AnyTokenizer | None = None,
        most_segments: int = 0,
        multiple: int = ALIGNED,
    ):
        """Args: `tasks` to rank, by default all of the folder's; the model's `tokenizer`, by default the folder's."""
        tokenizer = tokenizer or prepared.tokenizer
        self._metrics = {task["name"]: task["metric"] for task in prepared.manifest["evaluations"]}
        names = self._metrics if tasks is None else tasks
        shape = length, rows_per_batch, most_segments, multiple
        self._rankings = {name: Ranking(_to_tune_on(prepared.items(name)), tokenizer, *shape) for name in names}
        self._texts = heldout_texts(prepared, tokenizer, *shape)

    @classmethod
    def of(cls, run: Any, prepared: Prepared, **others: Any) -> "Suite":
        """In rows of the shape that a run trains on, or a part of their length."""
        length, rows, most_segments, multiple = row_shape(run)
        return cls(prepared, length, rows, most_segments=most_segments, multiple=multiple, **others)

    def run(self, score_rows: ScoreRows, rank: bool = True) -> tuple[dict[str, float], list[dict]]:
        """Metrics, and one record per ranked item. `bits_per_byte/LANGUAGE` is of held-out text.

        Args: `rank`, whether the tasks are asked too.
        """
        metrics: dict[str, float] = {}
        records: list[dict] = []
        for name, ranking in self._rankings.items() if rank else ():
            task_records = ranking.score(score_rows)
            metrics |= accuracies(task_records, self._metrics[name])
            records += [{"task": name, **record} for record in task_records]
        for language, text in self._texts.items():
            metrics[f"bits_per_byte/{language}"] = text.bits_per_byte(score_rows)
        return metrics, records


def row_shape(run: Any) -> tuple[int, int, int, int]:
    """length, rows_per_batch, most_segments, multiple of a run's rows, as `PackedSequences` takes them."""
    # Each device's stretch of a row is a multiple of `ALIGNED`, and divides into the chunks of the loss.
    multiple = ALIGNED * run.mesh.sequence * max(run.loss_chunks, 1)
    return run.sequence_length, run.rows_at_once, run.most_segments, multiple or run.sequence_length


def _to_tune_on(items: list[dict]) -> list[dict]:
    return [item for item in items if item.get("split") == "validation"] or items
