"""Damage to files: of their bytes, and of the values in JSON and XML. The same random numbers do the same damage."""

import bz2
import gzip
import json
import lzma
import pathlib
import random
import re
from typing import Any

from backports import zstd

NASTY = [
    b"\0", b"\xff\xfe", b"\xc3", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\t", b"\\ud800", b"\xe2\x80\xa8\xe2\x80\xae",
    b"\x1b[31m", b"../../etc/passwd", b"/etc/passwd", b"NaN", b"1e999", b"-1", b"9" * 5000, b"9223372036854775808",
    b"null", b"[]", b"{}", b'""', b"true", b"<!--", b"]]>", b"&lol;",
    b'<!DOCTYPE a [<!ENTITY lol "ha"><!ENTITY l "&lol;&lol;">]>',
    b"<!ATTLIST e a CDATA 'x'>", b"<![CDATA[", b"[" * 100_000, b'{"a":' * 50_000, b"<e>" * 5000, b"(" * 30_000,
    b"a" * 2_000_000, b"a," * 200_000, b"__import__('os')", b"!!python/object/apply:os.system", b"\x80\x04.",
]  # fmt: skip
VALUES = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(2**63), 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", " ", "x", "../../etc/passwd", "/etc/passwd", "..", "a/b", "\0", "\ud800", "\n", "\x1b[31m", "é" * 300,
    "x" * 100_000, "tasks.toy_world", "antigravity", [], {}, [[]], [None], {"": 0}, {"a.b": {"__class__": 1}}, [1, "a"],
]  # fmt: skip
_COMPRESSIONS = {".gz": gzip, ".dz": gzip, ".bz2": bz2, ".xz": lzma, ".zst": zstd}
_TAG = re.compile(rb"<[^<>]{1,200}>")


def damage(path: pathlib.Path, draw: random.Random, others: list[bytes]) -> None:
    """Damages a file in one to three ways: within its compression, if it has one, or as it is."""
    data = path.read_bytes()
    suffix, packing = path.suffix, _COMPRESSIONS.get(path.suffix)
    if packing and draw.random() < 0.5:
        data = packing.decompress(data)
        suffix = path.with_suffix("").suffix
    else:
        packing = None
    for _ in range(draw.choice((1, 1, 2, 3))):
        data = _once(data, suffix, draw, others)
    path.write_bytes(packing.compress(data) if packing else data)


def _once(data: bytes, suffix: str, draw: random.Random, others: list[bytes]) -> bytes:
    kinds = [_damage_bytes]
    if suffix in (".json", ".jsonl") or data[:1] in (b"{", b"["):
        kinds += [_damage_json] * 3
    if data.lstrip()[:1] == b"<":
        kinds += [_damage_xml] * 2
    return draw.choice(kinds)(data, draw, others)


def _damage_bytes(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + int(draw.paretovariate(0.5)))
    piece = data[start:end]
    match draw.randrange(9):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:start] + piece * min(draw.randrange(2, 200), 1 + (1 << 20) // (len(piece) + 1)) + data[end:]
        case 3:
            return data[:start] + draw.randbytes(min(len(piece), 64)) + data[end:]
        case 4:
            return data[:start] + draw.choice(NASTY) + data[start:]
        case 5:
            return data[:start] + draw.choice(NASTY) + data[end:]
        case 6:
            other = draw.choice(others)
            return data[:start] + other[draw.randrange(len(other) + 1) :]
        case 7:
            lines = data.split(b"\n")
            draw.shuffle(lines)
            return b"\n".join(lines)
    flipped = bytearray(data)
    for _ in range(draw.choice((1, 1, 4, 32))):
        if flipped:
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _damage_json(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """Changes values of the whole, or of one of its lines."""
    try:
        return json.dumps(damaged_value(json.loads(data), draw)).encode()
    except (ValueError, RecursionError):
        pass
    lines = data.split(b"\n")
    place = draw.randrange(len(lines))
    try:
        lines[place] = json.dumps(damaged_value(json.loads(lines[place]), draw)).encode()
    except (ValueError, RecursionError):
        return _damage_bytes(data, draw, others)
    return b"\n".join(lines)


def damaged_value(value: Any, draw: random.Random) -> Any:
    """A JSON value with something within it changed, removed, renamed, doubled or nested."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        match draw.randrange(8):
            case 0:
                return {name: item for name, item in value.items() if name != key}
            case 1:
                return {str(draw.choice(VALUES)) if name == key else name: item for name, item in value.items()}
            case 2:
                return value | {key: draw.choice(VALUES)}
            case 3:
                return value | {str(draw.choice(VALUES)): draw.choice(VALUES)}
        return value | {key: damaged_value(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        match draw.randrange(6):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value[:place] + [value[place]] * draw.choice((2, 1000)) + value[place + 1 :]
        return [*value[:place], damaged_value(value[place], draw), *value[place + 1 :]]
    if type(value) is int and draw.random() < 0.4:
        return value + draw.choice((-1, 1, 1000, -value, 10**12))
    if draw.random() < 0.1:
        for _ in range(200):
            value = [value]
        return value
    return draw.choice(VALUES)


def _damage_xml(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """Removes, doubles, renames or nests a tag."""
    tags = list(_TAG.finditer(data))
    if not tags:
        return _damage_bytes(data, draw, others)
    one, other = draw.choice(tags), draw.choice(tags)
    new = draw.choice(
        (b"", one[0] * 2, other[0], one[0] * 200, one[0] + draw.choice(NASTY), one[0][:-1] + b' x="&a;">')
    )
    return data[: one.start()] + new + data[one.end() :]
