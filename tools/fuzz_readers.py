"""The readers of what users give: for each a valid sample, real text where LINKJAX_REAL_DATA names some, and how to
read it. What a reader imports, it imports when it is asked: each is fuzzed in a process of its own."""

import collections
import dataclasses
import gzip
import json
import os
import pathlib
import random
import sqlite3
from collections.abc import Callable

ROOT = pathlib.Path(__file__).parent.parent
_HOUSE = [("house", "nyumba"), ("Monday", "Jumatatu"), ("old man", "mzee"), ("water", "maji"), ("book", "kitabu")]
_ENGLISH = ["The old man sees the house by the water.\n", "Give me the book and the water, dog!\n"]


def _anything(path: pathlib.Path) -> bool:
    return True


def _nothing(folder: pathlib.Path, draw: random.Random) -> None:
    pass


@dataclasses.dataclass(frozen=True)
class Reader:
    """Attributes:
    make: writes a valid sample into a folder.
    read: reads what is in the folder; the random numbers choose among options.
    may_damage: which of the sample's files.
    after: what is done to a sample once it is damaged.
    """

    make: Callable[[pathlib.Path], None]
    read: Callable[[pathlib.Path, random.Random], None]
    may_damage: Callable[[pathlib.Path], bool] = _anything
    after: Callable[[pathlib.Path, random.Random], None] = _nothing


def _real(name: str, size: int) -> bytes:
    """The first whole lines of a real file, none where there are no real files."""
    path = pathlib.Path(os.environ.get("LINKJAX_REAL_DATA", "/nowhere")) / name
    if not path.exists():
        return b""
    return path.read_bytes()[:size].rpartition(b"\n")[0] + b"\n"


def _english() -> str:
    return "".join(_ENGLISH) + _real("en/wikipedia.txt", 8000).decode()


### Lexicons

_TSV = "".join(f"{source}\t{target}\n" for source, target in _HOUSE)
_TEI = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE TEI SYSTEM "freedict-P5.dtd">
<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><title>t</title></teiHeader><text><body>
<entry><form><orth>house</orth><pron>haus</pron></form>
<sense><cit type="trans"><quote>nyumba</quote></cit></sense></entry>
<entry><form><orth>water</orth></form><sense><def>maji, ya kunywa</def></sense></entry>
</body></text></TEI>
"""
_DIX = """<?xml version="1.0"?><dictionary><alphabet/><sdefs><sdef n="n"/></sdefs><section id="main" type="standard">
<e><p><l>house<s n="n"/></l><r>casa<s n="n"/></r></p></e><e r="LR"><p><l>old<b/>man</l><r>viejo</r></p></e>
<e><i>radio</i></e><e r="RL"><p><l>a</l><r>b</r></p></e></section></dictionary>
"""
_JMDICT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE JMdict [<!ELEMENT JMdict (entry*)><!ATTLIST gloss xml:lang CDATA "eng">
<!ENTITY n "noun (common) (futsuumeishi)"><!ENTITY uk "word usually written using kana alone">]>
<JMdict><entry><k_ele><keb>\u72ac</keb><ke_pri>ichi1</ke_pri></k_ele>
<r_ele><reb>\u3044\u306c</reb></r_ele>
<sense><pos>&n;</pos><gloss>dog</gloss><gloss xml:lang="ger">Hund</gloss></sense>
<sense><misc>&uk;</misc><gloss>spy</gloss></sense>
</entry></JMdict>
"""
_EDICT = "\u72ac [\u3044\u306c] /(n) dog/(P)/EntL1X/\n\u6c34(P) [\u307f\u305a] /water/\n"
_CEDICT = "# c\n\u6c34 \u6c34 [shui3] /water/river/\n\u66f8 \u4e66 [shu1] /book; letter/CL:\u672c/\n"
_KAIKKI = [
    {"word": "house", "pos": "noun", "lang_code": "en", "senses": [{"glosses": ["a building"], "translations": [
        {"lang_code": "sw", "word": "nyumba"}, {"code": "de", "word": "Haus"}]}]},
    {"word": "kitabu", "pos": "noun", "lang_code": "sw", "senses": [{"glosses": ["book; volume"]}, {"form_of": []}]},
    {"word": "water", "lang_code": "en", "translations": [{"lang_code": "swh", "word": "maji"}]},
]  # fmt: skip
_PANLEX = {
    "langvar": "id,lang_code,var_code\n1,eng,0\n2,swh,0\n",
    "expr": "id,langvar,txt,txt_degr\n10,1,house,house\n11,2,nyumba,nyumba\n12,2,maji,maji\n13,1,water,water\n",
    "denotation": "id,meaning,expr\n1,100,10\n2,100,11\n3,101,12\n4,101,13\n",
    "meaning": "id,source\n100,7\n101,7\n",
    "source": "id,label,quality,grp\n7,swh-eng,5,7\n",
}


def _lexicon(name: str, content: str | Callable[[], bytes], form: str = "", encoding: str = "utf-8") -> Reader:
    def make(folder: pathlib.Path) -> None:
        raw = content.encode(encoding) if isinstance(content, str) else content()
        (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)

    return Reader(make, lambda folder, draw: _read_lexicon(folder / name, form, draw))


def _read_lexicon(path: pathlib.Path, form: str, draw: random.Random) -> None:
    """As training does: read, look for faults, swap words, write, and read what was written."""
    from linkjax.lexicon import ReadOptions, read_lexicon, write_lexicon
    from linkjax.lexicon.lint import lint
    from linkjax.substitution import LinkSettings, Substitution

    options = ReadOptions(
        format=form if draw.random() < 0.5 else "", language="sw", keep_good_lines=draw.random() < 0.5
    )
    lexicon = read_lexicon(path, options)
    lint(lexicon, "sw")
    Substitution({"sw": lexicon}, LinkSettings(ratio=1.0))(7, "".join(_ENGLISH))
    written = path.with_name("written.tsv")
    write_lexicon(lexicon, written)
    if read_lexicon(written).entries != lexicon.entries:
        raise AssertionError("a lexicon that was read cannot be written and read again")


def _make_written(folder: pathlib.Path) -> None:
    lines = [f"{source}\t{target}\t{index / 3!r}\ta+b" for index, (source, target) in enumerate(_HOUSE)]
    (folder / "en-sw.tsv").write_text("\n".join(["source\ttarget\tweight\torigin", *lines]) + "\n")


def _make_dictd(folder: pathlib.Path) -> None:
    real = pathlib.Path(os.environ.get("LINKJAX_REAL_DATA", "/nowhere")) / "lexicons"
    if real.exists():
        for suffix in ("index", "dict.dz"):
            (folder / f"a.{suffix}").write_bytes((real / f"freedict-eng-swh.{suffix}").read_bytes())
        return
    body = "house /haus/\n1. nyumba, jengo\nwater\n maji\n"
    (folder / "a.dict.dz").write_bytes(gzip.compress(body.encode()))
    (folder / "a.index").write_text("house\tA\td\nwater\td\tM\n")


def _make_panlex_csv(folder: pathlib.Path) -> None:
    for table, rows in _PANLEX.items():
        (folder / f"{table}.csv").write_text(rows)


def _make_panlex_lite(folder: pathlib.Path) -> None:
    with sqlite3.connect(folder / "a.sqlite") as database:
        database.executescript(
            "CREATE TABLE langvar (id INTEGER PRIMARY KEY, uid TEXT, lang_code TEXT);"
            "CREATE TABLE expr (id INTEGER PRIMARY KEY, langvar INTEGER, txt TEXT);"
            "CREATE TABLE denotationx (meaning INTEGER, source INTEGER, grp INTEGER, quality INTEGER, expr INTEGER);"
            "INSERT INTO langvar VALUES (1, 'eng-000', 'eng'), (2, 'swh-000', 'swh');"
            "INSERT INTO expr VALUES (10, 1, 'house'), (11, 2, 'nyumba'), (12, 2, 'maji'), (13, 1, 'water');"
            "INSERT INTO denotationx VALUES (100, 7, 7, 5, 10), (100, 7, 7, 5, 11);"
            "INSERT INTO denotationx VALUES (101, 7, 7, 5, 12), (101, 7, 7, 5, 13);"
        )
    database.close()


_SQL = [
    "DROP TABLE expr", "ALTER TABLE expr RENAME TO other", "UPDATE expr SET txt = randomblob(2000)",
    "UPDATE expr SET txt = NULL", "UPDATE langvar SET lang_code = 7", "UPDATE denotationx SET quality = 'x'",
    "UPDATE denotationx SET quality = 9e300", "UPDATE expr SET txt = CAST(x'ff' AS TEXT)",
    "UPDATE expr SET txt = zeroblob(3000000)", "UPDATE denotationx SET meaning = 100",
    "DROP TABLE expr; CREATE VIEW expr AS SELECT 1 AS id, 2 AS langvar, printf('%.*c', 100000000, 'x') AS txt",
    "ALTER TABLE expr ADD COLUMN a GENERATED ALWAYS AS (randomblob(100000000))",
    "CREATE INDEX i ON expr (hex(txt))", "PRAGMA encoding = 'UTF-16'; VACUUM",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
    " INSERT INTO denotationx SELECT 100, 7, i, 5, 10 + i % 4 FROM n",
]  # fmt: skip


def _run_sql(folder: pathlib.Path, draw: random.Random) -> None:
    """Statements of an attacker's, where the file is still a database."""
    if draw.random() < 0.5:
        _make_panlex_lite_again(folder)
        try:
            with sqlite3.connect(folder / "a.sqlite") as database:
                for statement in draw.sample(_SQL, 2):
                    database.executescript(statement)
            database.close()
        except sqlite3.Error:
            pass


def _make_panlex_lite_again(folder: pathlib.Path) -> None:
    (folder / "a.sqlite").unlink()
    _make_panlex_lite(folder)


### Benchmarks

_COPA = {"premise": "Mwanga uliwaka.", "choice1": "Niliona.", "choice2": "Nililala.", "question": "effect", "label": 1}


def _benchmark(kind: str) -> Reader:
    rows = [_COPA | {"idx": number} for number in range(20)]

    def make(folder: pathlib.Path) -> None:
        path = folder / f"xcopa/sw/test{kind}"
        path.parent.mkdir(parents=True)
        if kind.endswith(".parquet"):
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=10)
        elif kind == ".tsv":
            table = [_COPA | {"idx": "idx"}, *rows]
            table[0] = {key: key for key in table[0]}
            path.write_text("".join("\t".join(map(str, row.values())) + "\n" for row in table))
        elif kind == ".json":
            path.write_text(json.dumps(rows))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def read(folder: pathlib.Path, draw: random.Random) -> None:
        from tasks import benchmarks

        for item in benchmarks.items("xcopa_sw", str(folder)):
            json.dumps(item, ensure_ascii=False).encode()
            assert 0 <= item["answer"] < len(item["choices"]) and all(map(str.strip, item["choices"]))

    return Reader(make, read)


### Text


def _text(name: str, write: Callable[[pathlib.Path], None]) -> Reader:
    def read(folder: pathlib.Path, draw: random.Random) -> None:
        from tasks.text_files import LocalText

        document = draw.choice(("line", "file"))
        texts = LocalText("t", [folder / name], (), document, 0.0, drop_duplicates=draw.random() < 0.5)
        for document in texts.documents("train", counts=collections.Counter()):
            document.text.encode()

    return Reader(lambda folder: write(folder / name), read)


def _compress(raw: bytes, suffix: str) -> bytes:
    if suffix == ".zst":
        from backports import zstd

        return zstd.compress(raw)
    import bz2
    import lzma

    return {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(suffix, bytes)(raw)


def _write_plain(path: pathlib.Path) -> None:
    path.write_bytes(_compress(_english().encode(), path.suffix))


def _write_jsonl(path: pathlib.Path) -> None:
    lines = (json.dumps({"text": line, "n": 1}) for line in _english().splitlines())
    path.write_bytes(_compress("\n".join(lines).encode(), path.suffix))


def _write_parquet(path: pathlib.Path) -> None:
    import pyarrow
    import pyarrow.parquet

    lines = _english().splitlines()
    table = pyarrow.table({"text": lines, "n": list(range(len(lines)))})
    pyarrow.parquet.write_table(table, path, row_group_size=10)


def _write_tfrecord(path: pathlib.Path) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else "") as writer:
        for line in _english().splitlines():
            text = tf.train.Feature(bytes_list=tf.train.BytesList(value=[line.encode()]))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"text": text})).SerializeToString())


def _make_tfds(folder: pathlib.Path) -> None:
    import tensorflow_datasets as tfds

    folder = folder / "said" / "1.0.0"
    folder.mkdir(parents=True)
    _write_tfrecord(folder / "said-train.tfrecord-00000-of-00001")
    tfds.folder_dataset.write_metadata(data_dir=str(folder), features={"text": tfds.features.Text()})


def _read_tfds(folder: pathlib.Path, draw: random.Random) -> None:
    from tasks.tfds_text import tfds_parts

    for part in tfds_parts("tfds:said", "text", str(folder)):
        for text in part.texts():
            text.encode()


def _read_words(folder: pathlib.Path, draw: random.Random) -> None:
    from linkjax.substitution.word_lists import read_word_list

    read_word_list(str(folder / "words.txt"))


READERS: dict[str, Reader] = {
    "tsv": _lexicon("a.tsv", lambda: _real("lexicons/wiktionary.en-sw.tsv", 8000) or _TSV.encode(), "tsv"),
    "tsv.gz": _lexicon("a.tsv.gz", lambda: _TSV.encode(), "tsv"),
    "written": Reader(_make_written, lambda folder, draw: _read_lexicon(folder / "en-sw.tsv", "", draw)),
    "csv": _lexicon("a.csv", 'english,swahili\n"house, old",nyumba\nwater,maji\nbook,kitabu\n', "csv"),
    "muse": _lexicon("a.txt", _TSV.replace("\t", " ").replace("old man", "old"), "muse"),
    "tei": _lexicon("a.tei", _TEI, "tei"),
    "dix": _lexicon("a.dix", _DIX, "dix"),
    "jmdict": _lexicon("JMdict_e", _JMDICT, "jmdict"),
    "edict": _lexicon("edict2", _EDICT, "edict", "euc_jp"),
    "cedict": _lexicon("cedict.u8", _CEDICT, "cedict"),
    "eflomal": _lexicon("a.priors", "LEX\thouse\tnyumba\t5.0\nLEX\twater\tmaji\t3\nHMMF\t1\t2.0\n", "eflomal"),
    "moses": _lexicon("lex.e2f", "nyumba house 0.9\nmaji water 0.8\nNULL the 0.5\n", "moses"),
    "fast_align": _lexicon("a.probs", "house\tnyumba\t-0.1\nwater\tmaji\t-0.2\n<eps>\tya\t-1\n", "fast_align"),
    "wiktextract": _lexicon("kaikki.jsonl", "".join(json.dumps(entry) + "\n" for entry in _KAIKKI), "wiktextract"),
    "dictd": Reader(_make_dictd, lambda folder, draw: _read_lexicon(folder / "a.index", "dictd", draw)),
    "panlex_csv": Reader(_make_panlex_csv, lambda folder, draw: _read_lexicon(folder / "expr.csv", "panlex", draw)),
    "panlex_sqlite": Reader(
        _make_panlex_lite, lambda folder, draw: _read_lexicon(folder / "a.sqlite", "panlex", draw), after=_run_sql
    ),
    "words": Reader(lambda folder: (folder / "words.txt").write_text("water\nhouse\n") and None, _read_words),
    **{f"text{suffix}": _text(f"a.txt{suffix}", _write_plain) for suffix in ("", ".gz", ".bz2", ".xz", ".zst")},
    "jsonl": _text("a.jsonl", _write_jsonl),
    "jsonl.zst": _text("a.jsonl.zst", _write_jsonl),
    "parquet": _text("a.parquet", _write_parquet),
    "tfrecord": _text("a.tfrecord", _write_tfrecord),
    "tfrecord.gz": _text("a.tfrecord.gz", _write_tfrecord),
    "tfds": Reader(_make_tfds, _read_tfds),
    **{f"benchmark{kind}": _benchmark(kind) for kind in (".jsonl", ".json", ".tsv", "-0.parquet")},
}

from tools import fuzz_runs  # noqa: E402

READERS |= fuzz_runs.readers(Reader)
