"""The training stream: a prepared folder -> global batches, the same on any number of hosts and workers.

The stream is cut into V virtual shards, each with its own documents, order, packing and mixture. Row b of
a batch of B comes from shard b * V // B; a host owns whole shards, and so does a worker process. A shard's
position travels with its rows, so the state of the whole stream is one small entry per shard, whoever
read it, and can be restored by any number of hosts and workers.
"""

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np

from linkjax.data.cutting import at_least
from linkjax.data.damage import Damage
from linkjax.data.documents import Document
from linkjax.data.encoder import COUNTS, Encoder
from linkjax.data.mixture import Rates, TokenMixture, named_numbers, parse_rates
from linkjax.data.prepared import Prepared
from linkjax.data.rows import PACKINGS, ShuffledDocuments, Stretches
from linkjax.data.worker import Killed, Worker
from linkjax.errors import UserError
from linkjax.substitution import LinkSettings, Substitution

_BLOCKS_AHEAD = 4
_MOST_RESTARTS = 3  # of workers that were killed
_SWAP = "lexical_substitution"
_MEASURED_DOCUMENTS, _MEASURED_ROWS, _MOST_ROWS = 256, 128, 2048  # for the progress that a ratio's schedule follows
_MEASURED_BYTES = 2_000_000  # of each component's text, for the share of words that can be swapped


@dataclasses.dataclass(frozen=True)
class StreamSettings:
    """What decides the stream. Hosts and workers are not part of it."""

    batch_size: int
    sequence_length: int
    virtual_shards: int
    data_seed: int
    link: LinkSettings
    steps: int  # of the whole run, for what follows a schedule
    rates: str = ""  # of tokens, in place of the mixture's from points of the run on
    most_passes: str = ""  # over a component's documents
    packing: str = "best_fit"  # a key of `rows.PACKINGS`
    most_segments: int = 0  # in a row
    most_damaged: int = 100  # documents that are left out because they cannot be read

    @classmethod
    def of(cls, run: Any) -> "StreamSettings":
        """Those among the settings of a run."""
        return cls(**{field.name: getattr(run, field.name) for field in dataclasses.fields(cls)})

    @property
    def shard_tokens(self) -> float:
        """Tokens that a shard gives in the whole run, padding among them."""
        return self.steps * self.batch_size * self.sequence_length / self.virtual_shards


def make_encoders(prepared: Prepared, link: LinkSettings) -> list[Encoder]:
    """What turns each component's documents into tokens; all shards share it."""
    substitution = make_substitution(prepared, link)
    swapping, plain = (Encoder(prepared.tokenizer, one) for one in (substitution, None))
    return [swapping if swaps_words(component) else plain for component in prepared.components]


def documents_in_row(
    prepared: Prepared, settings: StreamSettings, documents: Sequence[Document], encoder: Encoder, index: int
) -> float:
    """How many of a component's documents a row has on average.

    Where the ratio follows a schedule, as measured on some rows of documents from all over it, while the ratio goes its
    course: swaps make text longer, and rows have padding. The progress of the run is known from it.
    """
    component, length = prepared.components[index], settings.sequence_length
    expected = length * len(documents) / component["tokens"]
    if settings.link.schedule == "constant" or not swaps_words(component):
        return expected
    few = math.ceil(expected * _MOST_ROWS)
    places = np.linspace(0, len(documents) - 1, min(len(documents), _MEASURED_DOCUMENTS, max(few, 1))).astype(int)
    sample = [one for place in places.tolist() if isinstance(one := documents[place], Document)]  # others are damaged
    if not sample:
        return expected
    passes = math.ceil(max(expected * _MEASURED_ROWS / len(sample), 1))
    order = ShuffledDocuments(sample, 0, 1, 0)
    stretches = Stretches(order, encoder, length, passes * len(sample), passes)
    rows = sum(1 for _ in PACKINGS[settings.packing](stretches, index, settings.most_segments))
    measured = passes * len(sample) / rows
    if few >= _MEASURED_DOCUMENTS:
        return measured
    # Of documents that take many rows each there are only some, which may be longer than others.
    mean = sum(len(document.text.encode()) for document in sample) / len(sample)
    return measured * mean / (component["bytes"] / len(documents))


def shard_rows(
    prepared: Prepared,
    settings: StreamSettings,
    documents: Sequence[Sequence[Document]],
    encoders: Sequence[Encoder],
    in_row: Sequence[float],
    shard: int,
) -> grain.IterDataset:
    """The endless rows of one virtual shard, of each component's documents, so many of which are `in_row`."""
    rates = run_rates(prepared, settings)
    limits = pass_limits(prepared, settings)
    components = []
    for index, component in enumerate(prepared.components):
        seed = _seed(settings.data_seed, component["name"])
        order = ShuffledDocuments(documents[index], shard, settings.virtual_shards, seed)
        rows = settings.shard_tokens / settings.sequence_length * rates.means[index]
        limit = limits.get(component["name"], 0.0)
        expected = max(rows * in_row[index], 1.0)
        course = rates.progress(index)
        stretches = Stretches(order, encoders[index], settings.sequence_length, expected, limit, course)
        components.append(PACKINGS[settings.packing](stretches, index, settings.most_segments))
    phase = shard / settings.virtual_shards
    return TokenMixture(components, rates, settings.sequence_length, phase, settings.shard_tokens)


def enough_documents(prepared: Prepared, component: dict, settings: StreamSettings) -> Sequence[Document]:
    """A component's documents, cut up where they are fewer than the shards.

    Raises:
      UserError: there is too little text even so.
    """
    return at_least(prepared.documents(component), settings.virtual_shards, component["name"])


def run_rates(prepared: Prepared, settings: StreamSettings) -> Rates:
    """Shares of the tokens over the run."""
    return parse_rates({component["name"]: component["rate"] for component in prepared.components}, settings.rates)


def pass_limits(prepared: Prepared, settings: StreamSettings) -> dict[str, float]:
    """Component -> most passes over its documents, where there is a limit."""
    names = [component["name"] for component in prepared.components]
    limits = named_numbers("most_passes", settings.most_passes, names)
    return {name: limit for name, limit in limits.items() if limit}


def expected_passes(prepared: Prepared, settings: StreamSettings) -> dict[str, float]:
    """Component -> passes over its documents in the whole run, by their tokens before substitution."""
    tokens = settings.shard_tokens * settings.virtual_shards * run_rates(prepared, settings).means
    return {
        component["name"]: float(of / component["tokens"])
        for component, of in zip(prepared.components, tokens, strict=True)
    }


def swaps_words(component: dict) -> bool:
    """Whether a component's text goes through the intervention."""
    return _SWAP in _operations(component)


def _operations(component: dict) -> list[str]:
    """The online operations of a component, which are all known here.

    Raises:
      UserError: a newer version prepared the folder, with operations that this one does not know.
    """
    names = [step["operation"] for step in component["operations"]]
    if unknown := set(names) - {_SWAP, "tokenize", "append_eos"}:
        raise UserError(f"'{component['name']}' was prepared with {sorted(unknown)}, which this version cannot do.")
    return names


def make_substitution(prepared: Prepared, link: LinkSettings) -> Substitution | None:
    """The intervention with this folder's lexicons, None where it has none."""
    if not prepared.lexicons:
        return None
    link = prepared.with_word_lists(link)
    statistics = prepared.statistics if link.needs_statistics else None
    shares = None
    if link.ratio_of == "words":
        texts = [
            document.text
            for component in prepared.components
            if swaps_words(component)
            for document in prepared.sample(component, _MEASURED_BYTES)
        ]
        measuring = dataclasses.replace(link, ratio_of="eligible")
        shares = Substitution(prepared.lexicons, measuring, statistics).eligible_shares(texts)
    return Substitution(prepared.lexicons, link, statistics, shares)


class _Blocks(grain.IterDataset):
    """Blocks of rows, one shard after the other: {"rows", "documents", "damaged", "shard", "state"}.

    "damaged" is what was found so since the last block, "state" is JSON, after these rows.
    """

    def __init__(self, prepared: Prepared, settings: StreamSettings, shards: Sequence[int], states: dict[int, str]):
        super().__init__()
        self.folder, self.settings, self.states = prepared.folder, settings, states
        self.shards = list(shards)

    def __iter__(self) -> grain.DatasetIterator:
        return _BlocksIterator(self)


class _BlocksIterator(grain.DatasetIterator):
    def __init__(self, blocks: _Blocks):
        super().__init__()
        self._blocks = blocks
        self._rows_per_block = blocks.settings.batch_size // blocks.settings.virtual_shards
        self._next = 0
        self._iterators: list[grain.DatasetIterator] | None = None
        self._damage, self._told = Damage(), 0

    def __next__(self) -> dict[str, Any]:
        if self._iterators is None:
            self._iterators = self._open()
        index = self._next % len(self._iterators)
        self._next += 1
        iterator = self._iterators[index]
        rows = [next(iterator) for _ in range(self._rows_per_block)]
        documents = [row.pop("documents") for row in rows]
        damaged = self._damage.found[self._told :]
        self._told += len(damaged)
        return {
            "damaged": damaged,
            "documents": documents,
            "rows": {name: np.stack([row[name] for row in rows]) for name in rows[0]},
            "shard": self._blocks.shards[index],
            "state": json.dumps(iterator.get_state()),
        }

    def _open(self) -> list[grain.DatasetIterator]:
        settings = self._blocks.settings
        prepared = Prepared(self._blocks.folder, settings.most_damaged)
        self._damage = prepared.damage
        encoders = make_encoders(prepared, settings.link)
        documents = [enough_documents(prepared, component, settings) for component in prepared.components]
        in_row = [
            documents_in_row(prepared, settings, documents[index], encoder, index)
            for index, encoder in enumerate(encoders)
        ]
        iterators = []
        for shard in self._blocks.shards:
            iterator = iter(shard_rows(prepared, settings, documents, encoders, in_row, shard))
            if shard in self._blocks.states:
                try:
                    iterator.set_state(json.loads(self._blocks.states[shard]))
                except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
                    raise UserError(
                        f"the position of shard {shard} is not one of this stream ({type(error).__name__}): go on from"
                        " another checkpoint."
                    ) from error
            iterators.append(iterator)
        return iterators

    def get_state(self) -> dict[str, Any]:
        return {}  # the shards' states travel with the rows

    def set_state(self, state: dict[str, Any]) -> None:
        assert not state


class Stream(Iterator[dict[str, np.ndarray]]):
    """This host's part of the global batches.

    `states` is the position after the batches given out so far, for this host's shards. `documents` are the ids of the
    documents of the last batch, for each of its rows those of its segments.
    """

    def __init__(
        self,
        prepared: Prepared,
        settings: StreamSettings,
        *,
        states: dict[int, str] | None = None,
        workers: int = 0,
        host: int = 0,
        hosts: int = 1,
    ):
        """Args:
        states: shard -> state to go on from, for any set of shards that includes this host's.
        workers: processes that read, at most one per shard; 0 = a thread of this one.
        host, hosts: of all hosts, the one this is.
        """
        shards = settings.virtual_shards
        if settings.batch_size % shards:
            raise UserError(f"virtual_shards {shards} does not divide batch_size {settings.batch_size}.")
        if shards % hosts:
            raise UserError(f"virtual_shards {shards} is not a multiple of the {hosts} hosts.")
        self.settings = settings
        self._per_host = shards // hosts
        mine = range(host * self._per_host, (host + 1) * self._per_host)
        self.states = {shard: state for shard, state in (states or {}).items() if shard in mine}
        rates = run_rates(prepared, settings)  # says at once, and in this process, what is wrong
        last = {of["name"] for of, rate in zip(prepared.components, rates.rates_SxC[-1], strict=True) if rate}
        if last <= set(pass_limits(prepared, settings)):
            raise UserError("most_passes limits every component: leave one that the others' shares can go to.")
        for component in prepared.components:
            _operations(component)
            if component["documents"] < shards:
                enough_documents(Prepared(prepared.folder, settings.most_damaged), component, settings)
        # Workers take turns, so each must own equally many shards.
        workers = max((n for n in range(1, min(workers, self._per_host) + 1) if self._per_host % n == 0), default=0)
        self._prepared, self._mine, self._in_processes = prepared, mine, workers > 0
        self._restarts, self._damage = 0, Damage(settings.most_damaged)
        self._readers = [
            self._reader(mine[worker :: max(workers, 1)], self.states) for worker in range(max(workers, 1))
        ]
        self.documents: list[list[int]] = []

    def _reader(self, shards: Sequence[int], states: dict[int, str]) -> "grain.DatasetIterator | Worker":
        """Gives blocks of these shards in turn."""
        blocks = _Blocks(
            self._prepared, self.settings, shards, {shard: states[shard] for shard in shards if shard in states}
        )
        if self._in_processes:
            return Worker(blocks, _BLOCKS_AHEAD)
        return iter(grain.experimental.ThreadPrefetchIterDataset(blocks, prefetch_buffer_size=_BLOCKS_AHEAD))

    def __next__(self) -> dict[str, np.ndarray]:
        """Rows [host * B / hosts, ...) of the next global batch, see `rows` for the fields."""
        parts, documents, states = [], [], dict(self.states)
        for place in range(self._per_host):
            block = self._next_block(place, states)
            parts.append(block["rows"])
            documents += block["documents"]
            for damaged in block["damaged"]:
                if self._damage.add(damaged):
                    limit = f"{len(self._damage):,} of at most {self._damage.most:,} so far"
                    print(f"{damaged}: left out, {limit}", file=sys.stderr)
            states[block["shard"]] = block["state"]
        self.states, self.documents = states, documents
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _next_block(self, place: int, states: dict[int, str]) -> dict[str, Any]:
        """The block of the shard at a place among this host's.

        Args: `states`, after the blocks so far.
        """
        turn = place % len(self._readers)
        while True:
            try:
                return next(self._readers[turn])
            except Killed as error:
                about = f"a process that reads data was killed ({error}), perhaps for want of memory"
                if self._restarts == _MOST_RESTARTS:
                    raise UserError(
                        f"{about}, after {_MOST_RESTARTS} others: start the same command again, or with fewer"
                        " --config.workers."
                    ) from error
            self._restarts += 1
            print(f"{about}: another one goes on in its place, {self._restarts} of {_MOST_RESTARTS}", file=sys.stderr)
            self._readers[turn].close()
            shards = self._mine[turn :: len(self._readers)]
            next_one = place // len(self._readers)
            self._readers[turn] = self._reader([*shards[next_one:], *shards[:next_one]], states)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


def counters(states: dict[int, str], components: Sequence[dict]) -> dict[str, float]:
    """What has been given out up to these states, summed over their shards.

    Keys: `tokens/NAME`, `tokens_of_language/LANGUAGE`, `passes/NAME`, `source_documents/NAME`, `source_bytes/NAME`
    (before substitution), `damaged/NAME` (documents left out, each once); and for the text with swaps
    `link/eligible_share`, `link/swapped_share` (of all words) and `link/identical_share` (of the swaps).
    """
    tokens = np.zeros(len(components), np.int64)
    counts = np.zeros((len(components), len(COUNTS)), np.int64)
    damaged = [0] * len(components)
    for text in states.values():
        state = json.loads(text)
        for index, of in enumerate(state["components"]):
            while "parent" in of:  # down to the one that reads the documents
                of = of["parent"]
            damaged[index] += len(of.get("damaged", []))
        tokens += state["tokens"]
        counts += state["counts"]
    result: dict[str, float] = {}
    for component, token_count, read, lost in zip(components, tokens, counts, damaged, strict=True):
        name, of = component["name"], dict(zip(COUNTS, read.tolist(), strict=True))
        result[f"tokens/{name}"] = int(token_count)
        language = f"tokens_of_language/{component['language']}"
        result[language] = result.get(language, 0) + int(token_count)
        result[f"source_documents/{name}"] = of["documents"]
        result[f"source_bytes/{name}"] = of["bytes"]
        result[f"damaged/{name}"] = lost
        result[f"passes/{name}"] = of["bytes"] / component["bytes"]
    _, _, words, eligible, swapped, swaps, identical = counts.sum(0).tolist()
    result["link/eligible_share"] = eligible / max(words, 1)
    result["link/swapped_share"] = swapped / max(words, 1)
    result["link/identical_share"] = identical / max(swaps, 1)
    return result


def _seed(data_seed: int, component: str) -> int:
    """Each component has an order of its own: adding one does not move the others."""
    return int.from_bytes(hashlib.blake2b(f"{data_seed} {component}".encode(), digest_size=4).digest(), "little")
