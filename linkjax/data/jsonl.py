"""Files of JSON lines, of ours."""

import json
import pathlib
from collections.abc import Iterable

from linkjax.errors import UserError
from linkjax.files import open_bytes, parse_json

_LINE_BYTES = 1 << 30  # a held-out document may be a large file


def is_text(value: object) -> bool:
    """Whether a value of JSON is text that UTF-8 can write: half of a surrogate pair is none."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def write_jsonl(records: Iterable[dict], path: pathlib.Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: pathlib.Path) -> list[dict]:
    """The objects of a file of JSON lines.

    Raises:
      UserError: it cannot be read, or a line is too long or no JSON object.
    """
    records = []
    with open_bytes(path) as file:
        while line := file.readline(_LINE_BYTES + 1):
            place = f"{path}, line {len(records) + 1}"
            if len(line) > _LINE_BYTES:
                raise UserError(f"{place} is longer than {_LINE_BYTES:,} bytes: make the file again.")
            records.append(parse_json(line, place))
            if not isinstance(records[-1], dict):
                raise UserError(f"{place} is a JSON {type(records[-1]).__name__}, no object: make the file again.")
    return records
