"""Damages files of every kind that LinkJAX reads, and demands that each is read or refused in one sentence.

    python tools/fuzz.py --minutes=10 --seed=0
    python tools/fuzz.py --only=prepared,config --minutes=1
    python tools/fuzz.py --replay=findings/prepared/0-17

Each reader runs in a process of its own, so that a crash, a hang or too much memory is found too. The damaged files of
a finding are kept in --findings. The last line is JSON: for each reader tries, accepted, refused and findings.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from linkjax.errors import UserError  # noqa: E402
from tools.fuzz_damage import damage  # noqa: E402
from tools.fuzz_readers import READERS, Reader  # noqa: E402

_SECONDS = 20.0  # that one try may take
_BYTES = 2 << 30  # of memory that one try may take
_START_SECONDS = 120.0  # imports and the valid sample
_MOST_FINDINGS = 20  # of a reader: more say nothing new
_LONGEST_SENTENCE = 1500
_ACCEPTED, _REFUSED, _FINDING = "accepted", "refused", "findings"


def one_try(reader: Reader, samples: pathlib.Path, place: pathlib.Path, seed: str) -> tuple[str, str]:
    """Damages a copy of a valid sample at `place` and reads it: what came of it, and the words said."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(samples, place)
    draw = random.Random(seed)
    files = sorted(path for path in place.rglob("*") if path.is_file())
    chosen = draw.choice([path for path in files if reader.may_damage(path)])
    damage(chosen, draw, [path.read_bytes()[: 1 << 16] for path in files[:20]])
    reader.after(place, draw)
    return outcome(reader, place, seed)


def outcome(reader: Reader, place: pathlib.Path, seed: str) -> tuple[str, str]:
    """What comes of reading the files at `place`."""
    try:
        reader.read(place, random.Random(f"{seed} options"))
    except UserError as error:
        said = str(error)
        return (_REFUSED, said) if is_sentence(said) else (_FINDING, f"not a sentence: {said[:500]!r}")
    except BaseException:
        return _FINDING, traceback.format_exc()
    return _ACCEPTED, ""


def is_sentence(text: str) -> bool:
    """Whether a message is one that a user can read: one line of some length, that ends."""
    whole = text.isprintable() or not any(ord(sign) < 32 for sign in text)
    return whole and 10 < len(text) <= _LONGEST_SENTENCE and text.endswith((".", "?", "!")) and "Traceback" not in text


def _serve(name: str, folder: pathlib.Path, seed: int, first: int, seconds: float, pipe: Connection) -> None:
    """In the child: tries until the time is over, telling of each before and after."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    reader, samples, number = READERS[name], folder / "sample", first
    if not samples.exists():
        making = folder / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        reader.make(making)
        making.rename(samples)
    kind, said = outcome(reader, samples, "valid")
    if kind != _ACCEPTED:
        pipe.send(("bad sample", said))
        return
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        pipe.send(("try", number))
        result = one_try(reader, samples, folder / "try", f"{seed} {name} {number}")
        pipe.send(result)
        if result[0] == _FINDING:
            pipe.recv()  # once its files are kept
        number += 1
    pipe.send(("end", number))


def fuzz(name: str, folder: pathlib.Path, findings: pathlib.Path, seed: int, seconds: float) -> dict[str, int]:
    """Tries one reader for some seconds in processes of its own; returns how many tries, and what came of them."""
    counts = {"tries": 0, _ACCEPTED: 0, _REFUSED: 0, _FINDING: 0}
    met: set[str] = set()
    number, left = 0, seconds
    while left > 0 and len(met) < _MOST_FINDINGS:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        child = context.Process(target=_serve, args=(name, folder / name, seed, number, left, there))
        child.start()
        there.close()
        number, spent, said = _watch(child, here, number, counts, met, name, folder, findings, seed)
        left -= max(spent, 0.1)
        if said:
            print(f"{name}: {said}", flush=True)
            break
    return counts


def _watch(child, pipe, number, counts, met, name, folder, findings, seed) -> tuple[int, float, str]:
    """Follows a child to its end: the number of the next try, the seconds spent trying, and what went wrong at all."""

    def found(what: str) -> None:
        counts[_FINDING] += 1
        lines = what.strip().splitlines()
        place = [line.strip() for line in lines if "File " in line][-1:]
        key = f"{lines[-1].partition(':')[0][:40]} {place}"
        if key in met:
            return
        met.add(key)
        kept = findings / name / f"{seed}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder / name / "try", kept)
        (kept.parent / f"{kept.name}.txt").write_text(what, errors="replace")
        print(f"{name} {number}: {lines[-1][:200]!a} {place}\n  python tools/fuzz.py --replay={kept}", flush=True)

    begun = since = time.monotonic()
    trying, base, what = False, None, ""
    while True:
        if pipe.poll(0.02):
            try:
                kind, said = pipe.recv()
            except EOFError:
                child.join()
                if not trying:
                    return number, time.monotonic() - begun, f"ended with {child.exitcode} before its first try"
                found(what or f"the process ended with {child.exitcode}")
                return number + 1, time.monotonic() - begun, ""
            if kind == "try":
                if base is None:
                    base, begun = _memory(child.pid), time.monotonic()
                number, trying, since = said, True, time.monotonic()
                counts["tries"] += 1
            elif kind in ("end", "bad sample"):
                child.join()
                return said if kind == "end" else number, time.monotonic() - begun, "" if kind == "end" else said
            else:
                trying = False
                if kind == _FINDING:
                    found(said)
                    pipe.send("")
                else:
                    counts[kind] += 1
                number += 1
        elif time.monotonic() - since > (_SECONDS if base is not None else _START_SECONDS) and not what:
            what = f"hangs: no end after {time.monotonic() - since:.0f} s"
            child.kill()
        if base is not None and not what and (grown := _memory(child.pid) - base) > _BYTES:
            what = f"takes {grown:,} bytes of memory"
            child.kill()


def _memory(process: int) -> int:
    try:
        return int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def replay(kept: pathlib.Path) -> None:
    """Reads a finding's files again, in this process, and shows what comes of it."""
    name = kept.parent.name
    kind, said = outcome(READERS[name], kept, f"{kept.name.split('-')[0]} {name} {kept.name.split('-')[1]}")
    print(f"{kind}: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of all readers together, less their starts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"names with commas between, of {', '.join(READERS)}")
    parser.add_argument("--findings", type=pathlib.Path, default=pathlib.Path("findings"))
    parser.add_argument("--replay", type=pathlib.Path, help="a folder that an earlier finding was kept in")
    arguments = parser.parse_args()
    if arguments.replay:
        replay(arguments.replay)
        return
    names = arguments.only.split(",") if arguments.only else list(READERS)
    if unknown := set(names) - set(READERS):
        parser.error(f"no such reader: {', '.join(sorted(unknown))}")
    tally = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            seconds = 60 * arguments.minutes / len(names)
            tally[name] = fuzz(name, pathlib.Path(folder), arguments.findings.absolute(), arguments.seed, seconds)
            print(f"{name}: {tally[name]}", flush=True)
    print(json.dumps({"seed": arguments.seed, "minutes": arguments.minutes, "readers": tally}))


if __name__ == "__main__":
    main()
