"""Parameters that stay as they are: which ones, and trees without them."""

import re
from collections.abc import Collection, Iterable
from typing import Any

from linkjax.errors import UserError


def frozen_names(pattern: str, names: Iterable[str]) -> frozenset[str]:
    """Those of the parameters' names, such as `blocks/query_DxHxK`, in which a regular expression is found.

    Args: `pattern` may be '', which freezes nothing.

    Raises:
      UserError: it is found in none of them, or in all.
    """
    names = list(names)
    found = frozenset(name for name in names if pattern and re.search(pattern, name))
    if pattern and len(found) in (0, len(names)):
        raise UserError(
            f"optimizer.freeze '{pattern}' is found in {'all' if found else 'none'} of the parameters' names: choose"
            f" some of {', '.join(names)}."
        )
    return found


def without(params: dict[str, Any], names: Collection[str], within: str = "") -> dict[str, Any]:
    """The tree without the parameters of these names."""
    rest: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            if inner := without(value, names, f"{within}{key}/"):
                rest[key] = inner
        elif f"{within}{key}" not in names:
            rest[key] = value
    return rest


def over(params: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """The tree with those parameters that `others` has taken from there."""
    return {
        key: value if key not in others else over(value, others[key]) if isinstance(value, dict) else others[key]
        for key, value in params.items()
    }
