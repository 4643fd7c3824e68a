"""How a setting is declared: a dataclass field with a default and its meaning."""

import dataclasses
from typing import Any


def setting(default: Any, meaning: str) -> Any:
    """A field of a frozen settings dataclass; `--help` prints its meaning."""
    return dataclasses.field(default=default, metadata={"help": meaning})
