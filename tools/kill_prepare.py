"""Kills `prepare` at random moments, lets it finish, and compares the folder with one made in peace.

    python tools/kill_prepare.py --folder=kills --kills=20

Prints a line for each kill and one of JSON at the end: how many kills, and how many folders were byte-identical.
"""

import argparse
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent


def write_texts(folder: pathlib.Path, parts: int, lines: int) -> list[str]:
    """Writes a corpus of several files with duplicates; returns the options that name it."""
    folder.mkdir(parents=True)
    for part in range(parts):
        english = [f"The dog {part} {line} sees the cat by the water of day {line % 97}.\n" for line in range(lines)]
        target = [f"Mbwa {part} {line} anaona paka karibu na maji ya siku {line % 89}.\n" for line in range(lines // 3)]
        (folder / f"en{part}.txt").write_text("".join([*english, "A dog that is everywhere.\n", english[7]]))
        (folder / f"sw{part}.txt").write_text("".join(target))
    (folder / "lexicon.tsv").write_text("dog\tmbwa\ncat\tpaka\nwater\tmaji\nday\tsiku\n")
    named = {"english": "en*.txt", "target": "sw*.txt", "lexicon": "lexicon.tsv"}
    options = [f"--config.{name}={folder / path}" for name, path in named.items()]
    return [*options, "--config.target_language=sw", "--config.drop_duplicates=True"]


def prepare(options: list[str], out: pathlib.Path, processes: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "linkjax.prepare", "--config=configs/local_text.py:cpu", *options]
    return subprocess.Popen(
        [*command, f"--out={out}", f"--processes={processes}"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"prepare ended with {process.returncode}: {said}")


def hashes(folder: pathlib.Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="does not exist; removed at the end")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--parts", type=int, default=6, help="files of each language")
    parser.add_argument("--lines", type=int, default=20_000, help="lines of an English file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    options = write_texts(arguments.folder / "text", arguments.parts, arguments.lines)
    whole, out = arguments.folder / "whole", arguments.folder / "out"
    begun = time.perf_counter()
    finish(prepare(options, whole, arguments.processes))
    seconds = time.perf_counter() - begun
    expected, draw, kills, same = hashes(whole), random.Random(arguments.seed), 0, 0
    while kills < arguments.kills:
        moment = draw.uniform(0, seconds)
        process = prepare(options, out, arguments.processes)
        time.sleep(moment)
        process.kill()
        process.communicate()
        if process.returncode == 0:  # it was quicker this time
            seconds = moment
            shutil.rmtree(out)
            continue
        kills += 1
        partial = out.with_name(f".{out.name}.partial") / "work"
        pieces = sum(not path.name.startswith(".") for path in partial.glob("*"))
        if not out.exists():  # or the kill came after the last step
            finish(prepare(options, out, arguments.processes))
        identical = hashes(out) == expected
        same += identical
        print(f"kill {kills}: after {moment:.2f} s, {pieces} pieces done, identical: {identical}", flush=True)
        shutil.rmtree(out)
    shutil.rmtree(arguments.folder)
    print(json.dumps({"kills": kills, "identical": same}))
    sys.exit(same != kills)


if __name__ == "__main__":
    main()
