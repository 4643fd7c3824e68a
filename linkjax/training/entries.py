"""What a checkpoint says in JSON, `run` and `data`, checked: it may come from anywhere."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from linkjax.errors import UserError
from linkjax.files import parse_json

_MOST_PIECES = 1 << 24


def check_run(run: Any, place: str) -> dict[str, Any]:
    """The `run` entry, with what a model is built from.

    Raises:
      UserError: something is missing or of another type.
    """
    if not isinstance(run, dict):
        raise _damaged(place, f"'run' is a {type(run).__name__}")
    kinds = {"config": dict, "vocabulary_size": int, "components": list, "data_sha256": str}
    for name, kind in kinds.items():
        if not isinstance(run.get(name), kind):
            raise _damaged(place, f"'{name}' of its 'run' is {run.get(name)!r:.40}")
    if not 0 < run["vocabulary_size"] <= _MOST_PIECES or not 0 < len(run["components"]) <= _MOST_PIECES:
        raise _damaged(
            place, f"'vocabulary_size' of its 'run' is {run['vocabulary_size']!r:.40}, or it has no components"
        )
    return run


def check_data(data: Any, place: str) -> dict[str, Any]:
    """The `data` entry, whose `shards` are positions by shard. What a position means is for the stream to say.

    Raises:
      UserError: something is missing or of another type.
    """
    shards = data.get("shards") if isinstance(data, dict) else None
    if not isinstance(shards, dict):
        raise _damaged(place, "'data' has no 'shards'")
    for shard, position in shards.items():
        if not (shard.isascii() and shard.isdecimal() and len(shard) < 10 and isinstance(position, str)):
            raise _damaged(place, f"shard {shard!r:.40} of its 'data' has the position {position!r:.40}")
        if not isinstance(parse_json(position, f"{place}, shard {shard}"), dict):
            raise _damaged(place, f"shard {shard} of its 'data' has the position {position!r:.40}")
    rewinds, unlogged = data.get("rewinds", 0), data.get("unlogged")
    if type(rewinds) is not int or not 0 <= rewinds < 2**31:
        raise _damaged(place, f"'rewinds' of its 'data' is {rewinds!r:.40}")
    if unlogged is not None and not (isinstance(unlogged, dict) and all(map(_is_number_or_none, unlogged.values()))):
        raise _damaged(place, f"'unlogged' of its 'data' is {unlogged!r:.40}")
    return data


@contextlib.contextmanager
def readable(place: str) -> Iterator[None]:
    """Orbax has no error of its own for a folder that is not as it writes them."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(
            f"{place} is whole, but not as LinkJAX writes them ({type(error).__name__}: {what}): use another one."
        ) from error


def _is_number_or_none(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


def _damaged(place: str, what: str) -> UserError:
    return UserError(f"{place} is whole, but {what}: use another one.")
