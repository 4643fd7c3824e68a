"""The training state and the jitted step that moves it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from linkjax.model.decoder import Decoder, ModelSettings
from linkjax.training import sharding
from linkjax.training.loss import Rows, objective, token_losses
from linkjax.training.optimizer import OptimizerSettings, make_optimizer, make_schedule

State = dict[str, Any]  # {"params", "optimizer", "step", "skipped"}: a pytree of arrays
_ROW_AXES = {"component_B": ("batch",)}


@dataclasses.dataclass(frozen=True)
class Trainer:
    """A decoder on a mesh with its optimizer: pure functions of a `State`, compiled once.

    Attributes:
      vocabulary: pieces of the tokenizer.
      components: number of the mixture's components, for the losses by component.
      steps: of the whole run, for the schedule.
    """

    model: ModelSettings
    optimizer: OptimizerSettings
    mesh: Mesh
    vocabulary: int
    components: int
    steps: int

    def initialise(self, seed: int) -> State:
        """A fresh state, made in place: no device or host ever holds more than its part."""

        def create(key):
            params = nnx.to_pure_dict(nnx.state(self._decoder(nnx.Rngs(params=key)), nnx.Param))
            zero = jnp.zeros((), jnp.int32)
            return {
                "params": params,
                "optimizer": self._transformation.init(params),
                "step": zero,
                "skipped": zero,
            }

        return jax.jit(create, out_shardings=self.shardings)(jax.random.key(seed))

    def update(self, state: State, rows: Rows) -> tuple[State, dict[str, jax.Array]]:
        """One optimizer step. `state` is consumed. Metrics: see `_update`."""
        return self._jitted_update(state, rows)

    def score(self, params: Any, rows: Rows) -> tuple[jax.Array, jax.Array]:
        """Cross-entropy in nats and whether the target is the most likely token, each BxL."""
        return self._jitted_score(params, rows)

    def logits(self, params: Any, rows: Rows) -> jax.Array:
        """logits_BxLxV over the tokenizer's pieces, without the padding of the vocabulary."""
        return self._jitted_logits(params, rows)

    def place(self, rows: dict[str, Any]) -> Rows:
        """This host's rows as global arrays."""
        placed = {}
        for name, values in rows.items():
            where = NamedSharding(self.mesh, sharding.spec(_ROW_AXES.get(name, ("batch", "length"))))
            placed[name] = jax.make_array_from_process_local_data(where, values)
        return placed

    @functools.cached_property
    def abstract(self) -> State:
        """Shapes, types and shardings of a state."""
        shapes = {
            "params": self._abstract_params,
            "optimizer": jax.eval_shape(self._transformation.init, self._abstract_params),
            "step": jax.ShapeDtypeStruct((), jnp.int32),
            "skipped": jax.ShapeDtypeStruct((), jnp.int32),
        }
        return jax.tree.map(
            lambda shape, where: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=where),
            shapes,
            self.shardings,
        )

    @functools.cached_property
    def shardings(self) -> State:
        params = jax.tree_util.tree_map_with_path(self._parameter_sharding, self._abstract_params)
        everywhere = NamedSharding(self.mesh, P())
        optimizer = optax.tree_utils.tree_map_params(
            self._transformation,
            lambda _, where: where,
            jax.eval_shape(self._transformation.init, self._abstract_params),
            params,
            transform_non_params=lambda _: everywhere,
        )
        return {"params": params, "optimizer": optimizer, "step": everywhere, "skipped": everywhere}

    def _decoder(self, rngs: nnx.Rngs) -> Decoder:
        return Decoder(self.model, self.vocabulary, rngs, sharding.constrain_on(self.mesh))

    @functools.cached_property
    def _split(self) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(nnx.eval_shape(lambda: self._decoder(nnx.Rngs(params=0))), nnx.Param)

    @functools.cached_property
    def _abstract_params(self) -> Any:
        return nnx.to_pure_dict(self._split[1])

    @functools.cached_property
    def _axes(self) -> dict[str, tuple[str | None, ...]]:
        """Path of each parameter -> its logical axes; stacked ones have the layers in front."""
        axes = {}
        for path, variable in nnx.to_flat_state(self._split[1]):
            stacked = (None,) if path[0] == "blocks" else ()
            axes["/".join(path)] = (*stacked, *variable.get_metadata("axes"))
        return axes

    def _parameter_sharding(self, path, shape) -> NamedSharding:
        name = "/".join(key.key for key in path)
        return sharding.sharding(self.mesh, shape.shape, self._axes[name], name)

    @functools.cached_property
    def _transformation(self) -> optax.GradientTransformation:
        return make_optimizer(self.optimizer, self.steps)

    def _apply(self, params: Any, rows: Rows) -> jax.Array:
        graph, state = self._split
        state = jax.tree.map(lambda leaf: leaf, state)  # a copy: merging must not touch the cached one
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)(rows["tokens_BxL"], rows["segments_BxL"], rows["positions_BxL"])

    def _update(self, state: State, rows: Rows) -> tuple[State, dict[str, jax.Array]]:
        """Metrics: loss (cross-entropy in nats), sums (see `objective`), gradient_norm, learning_rate, skipped.

        A gradient that is not finite changes nothing but the counts of steps and of skipped steps.
        """

        def loss_of(params):
            return objective(self._apply(params, rows), rows, self.optimizer.z_loss, self.components)

        (_, report), gradients = jax.value_and_grad(loss_of, has_aux=True)(state["params"])
        norm = optax.global_norm(gradients)
        finite = jnp.isfinite(norm)
        updates, optimizer = self._transformation.update(gradients, state["optimizer"], state["params"])
        params = optax.apply_updates(state["params"], updates)

        def keep_if_finite(new, old):
            return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)

        new_state = {
            "params": keep_if_finite(params, state["params"]),
            "optimizer": keep_if_finite(optimizer, state["optimizer"]),
            "step": state["step"] + 1,
            "skipped": state["skipped"] + ~finite,
        }
        metrics = {
            "loss": report["cross_entropy"],
            "sums": report["sums"],
            "gradient_norm": norm,
            "learning_rate": make_schedule(self.optimizer, self.steps)(state["step"] - state["skipped"]),
            "skipped_steps": new_state["skipped"],
        }
        return new_state, metrics

    @functools.cached_property
    def _jitted_update(self):
        everywhere = NamedSharding(self.mesh, P())
        return jax.jit(self._update, donate_argnums=0, out_shardings=(self.shardings, everywhere))

    @functools.cached_property
    def _jitted_score(self):
        def score(params, rows):
            logits_BxLxV = self._apply(params, rows)
            losses_BxL, _ = token_losses(logits_BxLxV, rows["targets_BxL"])
            return losses_BxL, logits_BxLxV.argmax(-1) == rows["targets_BxL"]

        return jax.jit(score, out_shardings=NamedSharding(self.mesh, P()))

    @functools.cached_property
    def _jitted_logits(self):
        return jax.jit(lambda params, rows: self._apply(params, rows)[..., : self.vocabulary])
