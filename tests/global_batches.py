"""One of several processes that read and train together: what they hold of the global batches, as JSON.

python tests/global_batches.py COORDINATOR PROCESSES PROCESS PREPARED STATES OUT MESH...
"""

import contextlib
import hashlib
import json
import pathlib
import sys

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from linkjax.data.pipeline import Stream, StreamSettings
from linkjax.data.prepared import Prepared
from linkjax.model.decoder import ModelSettings
from linkjax.substitution import LinkSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.processes import first, gather, joined
from linkjax.training.sharding import MeshSettings, make_mesh, row_block
from linkjax.training.step import Trainer

BATCHES = 3
SETTINGS = StreamSettings(
    batch_size=16, sequence_length=64, virtual_shards=8, data_seed=0, link=LinkSettings(), steps=100
)
MODEL = ModelSettings(layers=1, width=32, heads=8, kv_heads=8, head_width=8, hidden=64)


def digest(rows) -> str:
    """SHA-256 of a batch."""
    result = hashlib.sha256()
    for name in sorted(rows):
        result.update(name.encode() + rows[name].tobytes())
    return result.hexdigest()


def make_trainer(prepared: Prepared, mesh: dict[str, int]) -> Trainer:
    mesh = make_mesh(MeshSettings(**mesh))
    return Trainer(MODEL, OptimizerSettings(), mesh, len(prepared.tokenizer), len(prepared.components), 20)


def observe(prepared: Prepared, states: dict[int, str], mesh: dict[str, int]) -> dict:
    """Hashes of the next global batches, losses on them if `mesh` says train, and where the stream is after them."""
    training = mesh.pop("train", False)
    trainer = make_trainer(prepared, mesh)
    block = row_block(trainer.mesh)
    everywhere = jax.jit(lambda rows: rows, out_shardings=NamedSharding(trainer.mesh, P()))
    hashes, losses, state = [], [], trainer.initialise(0) if training else None
    with contextlib.closing(Stream(prepared, SETTINGS, states=states, host=block.index, hosts=block.count)) as stream:
        for _ in range(BATCHES):
            rows = trainer.place(next(stream))
            hashes.append(digest(jax.device_get(everywhere(rows))))
            if training:
                state, metrics = trainer.update(state, rows)
                losses.append(float(metrics["loss"]))
        parts = gather(list(stream.states.items()))
    states = {shard: where for part in parts for shard, where in part}
    return {"block": block, "hashes": hashes, "losses": losses, "states": states}


def main(coordinator: str, processes: str, process: str, folder: str, states: str, out: str, *meshes: str) -> None:
    with joined(coordinator, processes, process):
        before = {int(shard): where for shard, where in json.loads(states).items()}
        seen = [observe(Prepared(pathlib.Path(folder)), before, json.loads(mesh)) for mesh in meshes]
        of_all = gather(seen)
        if first():
            pathlib.Path(out).write_text(json.dumps(of_all))


if __name__ == "__main__":
    main(*sys.argv[1:])
