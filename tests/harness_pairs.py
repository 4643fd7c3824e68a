"""What lm-evaluation-harness's own task definitions ask of a model, for the rows of local files."""

import os
import pathlib

import pytest


def harness_pairs(definition: str, rows: list[dict]) -> tuple[list[list], list[int]]:
    """(context, continuation) pairs of each row, and the right choices, by the task at lm_eval/tasks/`definition`."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    lm_eval = pytest.importorskip("lm_eval")
    datasets = pytest.importorskip("datasets")
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    path = pathlib.Path(lm_eval.__file__).parent / "tasks" / definition
    config = load_yaml(path)

    class Task(ConfigurableTask):
        def download(self, dataset_kwargs=None, **kwargs):
            self.dataset = datasets.DatasetDict({"rows": datasets.Dataset.from_list(rows)})

    config |= {"training_split": None, "validation_split": None, "test_split": "rows", "fewshot_split": None}
    config = {key: value for key, value in config.items() if key not in ("tag", "group")}
    task = Task(config=config)
    task.build_all_requests(rank=0, world_size=1)
    pairs: dict[int, list] = {}
    for instance in sorted(task.instances, key=lambda one: (one.doc_id, one.idx)):
        pairs.setdefault(instance.doc_id, []).append(tuple(instance.args[:2]))
    docs = list(task.test_docs())
    target = task.doc_to_text if task.multiple_input else task.doc_to_target
    return [pairs[index] for index in range(len(docs))], [_index(task, doc, target(doc)) for doc in docs]


def _index(task, doc, gold) -> int:
    return task.doc_to_choice(doc).index(gold) if isinstance(gold, str) and not gold.isdigit() else int(gold)


def our_pairs(items: list[dict]) -> tuple[list[list], list[int]]:
    """The same of items of ours."""
    pairs = []
    for item in items:
        prompts = item.get("prompts") or [item["prompt"]] * len(item["choices"])
        pairs.append(list(zip(prompts, item["choices"], strict=True)))
    return pairs, [item["answer"] for item in items]
