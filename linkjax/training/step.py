"""The training state and the jitted step that moves it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from linkjax.errors import UserError
from linkjax.model.attention import make_attend
from linkjax.model.decoder import Cache, Decoder, Layout, ModelSettings, padded_vocabulary
from linkjax.training import sharding
from linkjax.training.freezing import frozen_names, over, without
from linkjax.training.loss import Rows, TokenLosses, objective, token_losses
from linkjax.training.optimizer import OptimizerSettings, make_optimizer, make_schedule

# A pytree of arrays: {"params", "optimizer", "step", "skipped", "norm"}, and "average" where the weights are averaged.
# "norm" is the sum over the good gradients' norms of _NORM_DECAY^age * norm.
State = dict[str, Any]
_ROW_AXES = {"component_B": ("batch",), "places_BxM": ("batch", None)}
_ROW_TYPES = {
    "tokens_BxL": jnp.int32, "targets_BxL": jnp.int32, "loss_weights_BxL": jnp.float32, "segments_BxL": jnp.int32,
    "positions_BxL": jnp.int32, "swapped_BxL": jnp.uint8, "component_B": jnp.int32,
}  # fmt: skip
_NORM_DECAY = 0.98  # a gradient's norm is compared with those of some fifty steps before
_NORMS_NEEDED = 20
_LOGITS_BYTES = 256 * 2**20  # that a device holds at once, where `loss_chunks` does not say otherwise


def weights(state: State) -> Any:
    """Those to evaluate with: the average, where there is one."""
    return state.get("average", state["params"])


@dataclasses.dataclass(frozen=True)
class Trainer:
    """A decoder on a mesh with its optimizer: pure functions of a `State`, compiled once.

    Attributes:
      vocabulary: pieces of the tokenizer.
      components: number of the mixture's components, for the losses by component.
      steps: of the whole run, for the schedule.
      microbatches: parts of a batch that go through the model one after the other; their gradients are summed up.
      loss_chunks: parts of a device's tokens whose logits are held one after the other; 0 = by size.
      most_segments: documents that a row can have; 0 = one a token.
      most_growth: of a gradient's norm over the usual one, before it counts as bad; 0 = no limit.
    """

    model: ModelSettings
    optimizer: OptimizerSettings
    mesh: Mesh
    vocabulary: int
    components: int
    steps: int
    microbatches: int = 1
    loss_chunks: int = 0
    most_segments: int = 0
    most_growth: float = 0.0

    @classmethod
    def of(cls, run: Any, mesh: Mesh, vocabulary: int, components: int) -> "Trainer":
        """That of a run's settings. `vocabulary`: the tokenizer's pieces, of which the model may have more.

        Raises:
          UserError: it has fewer.
        """
        held = run.model.vocabulary or vocabulary
        if held < vocabulary:
            raise UserError(
                f"model.vocabulary is {held}, and the tokenizer has {vocabulary} pieces: choose the tokenizer that"
                " belongs to the model."
            )
        same = {name: getattr(run, name) for name in ("steps", "microbatches", "loss_chunks", "most_segments")}
        growth = run.guard.most_growth
        return cls(run.model, run.optimizer, mesh, held, components, **same, most_growth=growth)

    def initialise(self, seed: int) -> State:
        """A fresh state, made in place: no device or host ever holds more than its part."""

        def create(key):
            return self._begun(nnx.to_pure_dict(nnx.state(self._decoder(nnx.Rngs(params=key)), nnx.Param)))

        return jax.jit(create, out_shardings=self.shardings)(jax.random.key(seed))

    def begin(self, params: Any) -> State:
        """A fresh state with these parameters, which are consumed."""
        return jax.jit(self._begun, donate_argnums=0, out_shardings=self.shardings)(params)

    def _begun(self, params: Any) -> State:
        zero = jnp.zeros((), jnp.int32)
        state = {
            "params": params,
            "optimizer": self._transformation.init(self._trained(params)),
            "step": zero,
            "skipped": zero,
            "norm": jnp.zeros((), jnp.float32),
        }
        return state | ({"average": jax.tree.map(jnp.copy, params)} if self._averages else {})

    def update(self, state: State, rows: Rows) -> tuple[State, dict[str, jax.Array]]:
        """One optimizer step. `state` is consumed. Metrics: see `_update`."""
        return self._jitted_update(state, rows)

    def score(self, params: Any, rows: Rows) -> tuple[jax.Array, jax.Array]:
        """Cross-entropy in nats and whether the target is the most likely token, each BxL.

        Where the rows name M places in each, `places_BxM`, those alone are asked for.
        """
        return self._jitted_score(params, rows)

    def scorer(self, params: Any) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
        """Rows on the host, all of a batch in every process -> what `score` says of them, on the host."""
        return lambda rows: jax.device_get(self.score(params, self.place_whole(rows)))

    def logits(self, params: Any, rows: Rows) -> jax.Array:
        """logits_BxLxV over the tokenizer's pieces, without the padding of the vocabulary."""
        return self._jitted_logits(params, rows)

    def text_vectors(self, params: Any, rows: Rows) -> jax.Array:
        """(N+2)xBxD: means over a row's tokens of `Decoder.streams`, and of the output embeddings of its targets."""
        return self._jitted_text_vectors(params, rows)

    def mass(self, params: Any, rows: Rows, pieces_V: jax.Array) -> jax.Array:
        """mass_BxL: what probability the next token has to be one of some pieces; `pieces_V` is 1 for them, else 0."""
        return self._jitted_mass(params, rows, pieces_V)

    def empty_cache(self, rows: int, places: int) -> Cache:
        """For documents of up to `places` tokens, one a row."""
        return self._jitted_cache(rows, places)

    def extend(
        self, params: Any, tokens_BxL: jax.Array, positions_BxL: jax.Array, lasts_B: jax.Array, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        """logits_BxV after the token that `lasts_B` points at, over the tokenizer's pieces; see `Decoder.extend`.

        `cache` is consumed.
        """
        return self._jitted_extend(params, tokens_BxL, positions_BxL, lasts_B, cache)

    def place(self, rows: dict[str, Any]) -> Rows:
        """A batch on the devices from this process's block of its rows (`sharding.row_block`)."""
        return self._place(rows, self._row_blocks)

    def place_whole(self, rows: dict[str, Any]) -> Rows:
        """A batch on the devices from all of its rows, which every process has."""
        return self._place(rows, 1)

    def _place(self, rows: dict[str, Any], blocks: int) -> Rows:
        placed = {}
        with jax.transfer_guard("allow"):  # with several processes JAX's own way to do it counts as implicit
            for name, values in rows.items():
                where = NamedSharding(self.mesh, sharding.spec(_ROW_AXES.get(name, ("batch", "length"))))
                shape = (len(values) * blocks, *values.shape[1:])
                placed[name] = jax.make_array_from_process_local_data(where, values, shape)
        return placed

    def lower(self, batch_size: int, length: int) -> jax.stages.Lowered:
        """The step `update` for a batch of this shape, to be compiled ahead of time: no array is made."""
        rows = {}
        for name, kind in _ROW_TYPES.items():
            axes = _ROW_AXES.get(name, ("batch", "length"))
            shape = (batch_size, length)[: len(axes)]
            where = sharding.sharding(self.mesh, shape, axes, "the batch")
            rows[name] = jax.ShapeDtypeStruct(shape, kind, sharding=where)
        return self._jitted_update.lower(self.abstract, rows)

    @functools.cached_property
    def _row_blocks(self) -> int:
        return sharding.row_block(self.mesh).count

    @functools.cached_property
    def abstract(self) -> State:
        """Shapes, types and shardings of a state."""
        shapes = {
            "params": self._abstract_params,
            "optimizer": jax.eval_shape(self._transformation.init, self._trained(self._abstract_params)),
            "step": jax.ShapeDtypeStruct((), jnp.int32),
            "skipped": jax.ShapeDtypeStruct((), jnp.int32),
            "norm": jax.ShapeDtypeStruct((), jnp.float32),
        } | ({"average": self._abstract_params} if self._averages else {})
        return jax.tree.map(
            lambda shape, where: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=where),
            shapes,
            self.shardings,
        )

    @functools.cached_property
    def shardings(self) -> State:
        params = jax.tree_util.tree_map_with_path(self._parameter_sharding, self._abstract_params)
        everywhere = NamedSharding(self.mesh, P())
        of_parameter = dict(jax.tree_util.tree_leaves_with_path(params))

        def like_its_parameter(path, leaf):
            """Moments have their parameter's place in a tree of their own, within the optimizer's state."""
            found = (of_parameter.get(path[start:]) for start in range(len(path)) if leaf.ndim)
            return next(filter(None, found), everywhere)

        state = jax.eval_shape(self._transformation.init, self._trained(self._abstract_params))
        optimizer = jax.tree_util.tree_map_with_path(like_its_parameter, state)
        counts = dict.fromkeys(("step", "skipped", "norm"), everywhere)
        state = {"params": params, "optimizer": optimizer, **counts}
        return state | ({"average": params} if self._averages else {})

    @property
    def _averages(self) -> bool:
        return self.optimizer.average_decay > 0

    def _decoder(self, rngs: nnx.Rngs) -> Decoder:
        attend = make_attend(self.model.attention, self.mesh, sharding.spec, self.most_segments)
        # A CPU gains a fifth from blocks without a loop; elsewhere the loop keeps compiling short.
        unroll = min(self.model.layers, 16) if self.mesh.devices.flat[0].platform == "cpu" else 1
        layout = Layout(sharding.constrain_on(self.mesh), attend, unroll)
        return Decoder(self.model, self.vocabulary, rngs, layout)

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

    @functools.cached_property
    def _frozen(self) -> frozenset[str]:
        return frozen_names(self.optimizer.freeze, self._axes)

    def _trained(self, params: Any) -> Any:
        return without(params, self._frozen)

    def _merged(self, params: Any) -> Decoder:
        graph, state = self._split
        state = jax.tree.map(lambda leaf: leaf, state)  # a copy: merging must not touch the cached one
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)

    def _token_losses(self, params: Any, rows: Rows, places_BxM: jax.Array | None = None) -> TokenLosses:
        """Of all tokens, or of those at M places of each row."""
        decoder = self._merged(params)
        x_BxLxD = decoder(rows["tokens_BxL"], rows["segments_BxL"], rows["positions_BxL"])
        targets_BxL = rows["targets_BxL"]
        if places_BxM is not None:
            x_BxLxD = jnp.take_along_axis(x_BxLxD, places_BxM[..., None], axis=1)
            targets_BxL = jnp.take_along_axis(targets_BxL, places_BxM, axis=1)
        return token_losses(
            x_BxLxD,
            decoder.projection_VxD,
            targets_BxL,
            mesh=self.mesh,
            spec=sharding.spec,
            vocabulary=self.vocabulary,
            chunks=self._chunks(*targets_BxL.shape),
            logit_cap=self.model.logit_cap,
        )

    def _chunks(self, rows: int, length: int) -> int:
        """Chunks of the loss, of which a device has its tokens of this many rows."""
        here_bxl = sharding.sharding(self.mesh, (rows, length), ("batch", "length")).shard_shape((rows, length))
        if self.loss_chunks:
            if here_bxl[1] % self.loss_chunks:
                raise UserError(
                    f"loss_chunks {self.loss_chunks} does not divide the {here_bxl[1]} tokens of a row on a device:"
                    " choose 0 (by size), or a divisor."
                )
            return self.loss_chunks
        vocabulary = padded_vocabulary(self.vocabulary) // self.mesh.shape[sharding.TABLE["vocabulary"]]
        most = max(_LOGITS_BYTES // (4 * vocabulary * here_bxl[0]), 1)  # tokens of a row at once
        return next(n for n in range(1, here_bxl[1] + 1) if here_bxl[1] % n == 0 and here_bxl[1] // n <= most)

    def _gradients(self, params: Any, rows: Rows) -> tuple[Any, dict]:
        """Of the whole batch, for the parameters that are trained; and the report of `objective`."""
        total = jnp.maximum(rows["loss_weights_BxL"].sum(), 1.0)

        def loss_of(trained, rows):
            return objective(
                self._token_losses(over(params, trained), rows), rows, total, self.optimizer.z_loss, self.components
            )

        def gradients_of(rows):
            (_, report), gradients = jax.value_and_grad(loss_of, has_aux=True)(self._trained(params), rows)
            return gradients, report

        count = self.microbatches
        sharding.rows_divide(self.mesh, len(rows["tokens_BxL"]) // count, rows["tokens_BxL"].shape[1])
        if count == 1:
            return gradients_of(rows)

        def part(name, values):
            """Every device's rows dealt out to all microbatches: none has to move."""
            values = jnp.swapaxes(values.reshape(-1, count, *values.shape[1:]), 0, 1)
            axes = (None, *_ROW_AXES.get(name, ("batch", "length")))
            return sharding.constrain_on(self.mesh)(values, axes)

        parts = {name: part(name, values) for name, values in rows.items()}
        shapes = jax.eval_shape(gradients_of, rows)
        shapes[1].pop("row_losses_B")
        nothing = jax.tree.map(lambda of: jnp.zeros(of.shape, of.dtype), shapes)

        def add(sums, rows):
            gradients, report = gradients_of(rows)
            of_rows = report.pop("row_losses_B")
            return jax.tree.map(jnp.add, sums, (gradients, report)), of_rows

        (gradients, report), row_losses_MxB = jax.lax.scan(add, nothing, parts)
        return gradients, report | {"row_losses_B": jnp.swapaxes(row_losses_MxB, 0, 1).reshape(-1)}

    def _update(self, state: State, rows: Rows) -> tuple[State, dict[str, jax.Array]]:
        """Metrics: loss (cross-entropy in nats), sums and row_losses_B (see `objective`), gradient_norm, learning_rate,
        skipped_steps.

        A bad gradient, one that is not finite or far larger than usual, changes nothing but the counts of steps and of
        skipped steps.
        """
        gradients, report = self._gradients(state["params"], rows)
        norm = optax.global_norm(gradients)
        good = jnp.isfinite(norm)
        if self.most_growth:
            count = (state["step"] - state["skipped"]).astype(jnp.float32)
            usual = state["norm"] * (1 - _NORM_DECAY) / jnp.maximum(1 - _NORM_DECAY**count, 1e-6)
            good &= (count < _NORMS_NEEDED) | (norm <= self.most_growth * usual)

        def if_good(new, old):
            return jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)

        before = self._trained(state["params"])
        updates, optimizer = self._transformation.update(gradients, state["optimizer"], before)
        params = if_good(optax.apply_updates(before, updates), before)
        new_state = {
            "params": over(state["params"], params),
            "optimizer": if_good(optimizer, state["optimizer"]),
            "step": state["step"] + 1,
            "skipped": state["skipped"] + ~good,
            "norm": jnp.where(good, _NORM_DECAY * state["norm"] + norm, state["norm"]),
        }
        if self._averages:
            decay = self.optimizer.average_decay
            averages = self._trained(state["average"])
            averaged = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, averages, params)
            new_state["average"] = over(state["average"], if_good(averaged, averages))
        metrics = {
            "loss": report["cross_entropy"],
            "sums": report["sums"],
            "row_losses_B": report["row_losses_B"],
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
            places_BxM = rows.get("places_BxM")
            split = self.mesh.shape["sequence"] > 1  # a device has but a stretch of a row
            if places_BxM is None or split or places_BxM.shape[1] % max(self.loss_chunks, 1):
                found = self._token_losses(params, rows)
                return found.losses_BxL, found.greatest_BxL == 0
            found = self._token_losses(params, rows, places_BxM)
            rows_Bx1 = jnp.arange(len(places_BxM))[:, None]
            nothing_BxL = jnp.zeros(rows["targets_BxL"].shape, found.losses_BxL.dtype)
            losses_BxL = nothing_BxL.at[rows_Bx1, places_BxM].set(found.losses_BxL)
            return losses_BxL, nothing_BxL.astype(bool).at[rows_Bx1, places_BxM].set(found.greatest_BxL == 0)

        return jax.jit(score, out_shardings=NamedSharding(self.mesh, P()))

    @functools.cached_property
    def _jitted_text_vectors(self):
        def text_vectors(params, rows):
            decoder = self._merged(params)
            x_NxBxLxD = decoder.streams(rows["tokens_BxL"], rows["segments_BxL"], rows["positions_BxL"])
            output_BxLxD = decoder.projection_VxD[rows["targets_BxL"]]
            x_NxBxLxD = jnp.concatenate([x_NxBxLxD.astype(jnp.float32), output_BxLxD[None]])
            real_BxL = (rows["segments_BxL"] > 0).astype(jnp.float32)
            return jnp.einsum("nbld,bl->nbd", x_NxBxLxD, real_BxL) / jnp.maximum(real_BxL.sum(1), 1)[None, :, None]

        return jax.jit(text_vectors, out_shardings=NamedSharding(self.mesh, P()))

    @functools.cached_property
    def _jitted_mass(self):
        def mass(params, rows, pieces_V):
            decoder = self._merged(params)
            x_BxLxD = decoder(rows["tokens_BxL"], rows["segments_BxL"], rows["positions_BxL"])
            return jax.nn.softmax(decoder.logits(x_BxLxD)[..., : self.vocabulary]) @ pieces_V

        return jax.jit(mass, out_shardings=NamedSharding(self.mesh, P()))

    @functools.cached_property
    def _jitted_cache(self):
        def empty(rows, places):
            return nnx.merge(*self._split).empty_cache(rows, places)

        return jax.jit(empty, static_argnums=(0, 1))

    @functools.cached_property
    def _jitted_extend(self):
        def extend(params, tokens_BxL, positions_BxL, lasts_B, cache):
            decoder = self._merged(params)
            x_BxLxD, cache = decoder.extend(tokens_BxL, positions_BxL, cache)
            x_Bx1xD = jnp.take_along_axis(x_BxLxD, lasts_B[:, None, None], axis=1)
            return decoder.logits(x_Bx1xD)[:, 0, : self.vocabulary], cache

        return jax.jit(extend, donate_argnums=4)

    @functools.cached_property
    def _jitted_logits(self):
        def logits(params, rows):
            decoder = self._merged(params)
            x_BxLxD = decoder(rows["tokens_BxL"], rows["segments_BxL"], rows["positions_BxL"])
            return decoder.logits(x_BxLxD)[..., : self.vocabulary]

        return jax.jit(logits)
