"""Dictionaries of structured formats: each read from a file in its published layout, with that format's traps."""

import contextlib
import gzip
import json
import math
import sqlite3
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.lexicon.formats import FORMATS, Reading, ReadOptions, find_format, panlex_sqlite
from linkjax.lexicon.formats.glosses import short_glosses
from linkjax.lexicon.readers import read_lexicon

WIKTEXTRACT = [
    {
        "pos": "noun",
        "word": "dog",
        "lang": "English",
        "lang_code": "en",
        "senses": [
            {
                "glosses": ["A mammal of the family Canidae."],
                "translations": [
                    {"lang": "Swahili", "code": "sw", "lang_code": "sw", "sense": "animal", "word": "mbwa"},
                    {"lang": "Swahili", "lang_code": "sw", "sense": "animal"},
                    {"lang": "Swahili", "lang_code": "sw", "word": ""},
                    {"lang": "German", "code": "de", "lang_code": "de", "word": "Hund"},
                ],
            }
        ],
    },
    {"title": "dogs", "redirect": "dog"},
    {
        "word": "water",
        "pos": "noun",
        "lang_code": "en",
        "translations": [{"lang": "Swahili", "code": "swh", "word": "maji"}, {"code": 7, "word": "x"}, {"word": "y"}],
    },
    {"word": "un-", "pos": "prefix", "lang_code": "en", "translations": [{"code": "sw", "word": "isiyo"}]},
    {
        "word": "kitabu",
        "pos": "noun",
        "lang_code": "sw",
        "senses": [
            {"glosses": ["book (collection of pages); volume, tome"]},
            {"glosses": ["a parent gloss", "a very long story that nobody reads"]},
        ],
    },
    {
        "word": "vitabu",
        "pos": "noun",
        "lang_code": "sw",
        "senses": [{"glosses": ["plural of kitabu"]}, {"glosses": ["books"], "form_of": [{"word": "kitabu"}]}],
    },
    {"word": "Juma", "pos": "name", "lang_code": "sw", "senses": [{"glosses": ["a male given name"]}, {"tags": []}]},
    {"word": "Hund", "pos": "noun", "lang_code": "de", "senses": [{"glosses": ["dog"]}]},
]

DIX = """<?xml version="1.0" encoding="UTF-8"?>
<dictionary>
  <alphabet/>
  <sdefs><sdef n="n" c="Noun"/><sdef n="vblex"/></sdefs>
  <pardefs><pardef n="adj"><e><p><l>er<s n="adj"/></l><r>x<s n="adj"/></r></p></e></pardef></pardefs>
  <section id="main" type="standard">
    <e><p><l>dog<s n="n"/></l><r>perro<s n="n"/><s n="m"/></r></p></e>
    <e><p><l>bus<b/>stop<s n="n"/></l><r>parada<b/>de<b/>autobús<s n="n"/></r></p></e>
    <e r="LR" slr="1"><p><l>puppy<s n="n"/></l><r>cachorro<s n="n"/></r></p></e>
    <e r="RL"><p><l>hound<s n="n"/></l><r>sabueso<s n="n"/></r></p></e>
    <e><i>radio<s n="n"/></i></e>
    <e><i>real</i><par n="adj"/></e>
    <e><p><l>take<g><b/>away</g><s n="vblex"/></l><r>quitar<s n="vblex"/></r></p></e>
    <e><p><l>prpers<s n="prn"/></l><r>yo<s n="prn"/></r></p></e>
    <e><p><l>from<j/>the</l><r>del</r></p></e>
    <e i="yes"><p><l>cat</l><r>perro</r></p></e>
    <e><re>[0-9]+</re><p><l><s n="num"/></l><r><s n="num"/></r></p></e>
  </section>
</dictionary>
"""

CEDICT = """# CC-CEDICT
#! version=1
中國 中国 [Zhong1 guo2] /China/Middle Kingdom/
皮實 皮实 [[pi2shi5]] /(of things) durable/(of people) sturdy; tough/
狗 狗 [gou3] /dog/CL:隻|只[zhi1],條|条[tiao2]/
台灣 台湾 [Tai2 wan1] /Taiwan/variant of 臺灣|台湾[Tai2 wan1]/see 中國|中国[Zhong1 guo2]/
王 王 [Wang2] /surname Wang/king/Taiwan pr. [wang4]/fig. top dog/
蘋 苹 [ping2] /a large and very tasty round fruit/
"""

EDICT2 = """　？？？ /EDICT2 Japanese-English Electronic Dictionary Files/Copyright EDRDG/Created: 2021-02-03/
収集(P);蒐集;拾集 [しゅうしゅう] /(n,vs) gathering up/collection/(P)/EntL1330570X/
明白 [めいはく] /(adj-na,n) obvious/clear/EntL1000220X/
４° [しど] /
ディスプレー /(n,vs) (comp) display/(P)/EntL1080580/
〇 [ゼロ(P);まる] /(n) (1) zero/nil/(n) (2) (uk) nothing/zilch/(n) (3) circle (see 丸)/EntL1000090X/
垜;安土 [あずち] /(n) mound on which targets are placed (in archery)/EntL2542010/
"""

JMDICT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE JMdict [
<!ELEMENT JMdict (entry*)>
<!ELEMENT gloss (#PCDATA)>
<!ATTLIST gloss xml:lang CDATA "eng">
<!ENTITY n "noun (common) (futsuumeishi)">
<!ENTITY uk "word usually written using kana alone">
]>
<JMdict>
<entry><ent_seq>1258330</ent_seq><k_ele><keb>犬</keb><ke_pri>ichi1</ke_pri></k_ele><k_ele><keb>狗</keb></k_ele>
<r_ele><reb>いぬ</reb></r_ele>
<sense><pos>&n;</pos><gloss>dog (Canis lupus familiaris)</gloss><gloss xml:lang="ger">Hund</gloss></sense>
<sense><misc>&uk;</misc><gloss>squealer</gloss><gloss g_type="expl">informer of police</gloss></sense></entry>
<entry><ent_seq>1080580</ent_seq><r_ele><reb>ディスプレー</reb></r_ele><sense><gloss>display</gloss>
<gloss>a thing that is looked at by many</gloss></sense></entry>
</JMdict>
"""

EXPRESSIONS = [
    (1, 187, "dog"),
    (2, 187, "hound"),
    (3, 666, "mbwa"),
    (4, 666, "jibwa, kubwa"),
    (5, 157, "Hund"),
    (6, 188, "doggie"),
    (7, 187, "water"),
]
MEANINGS = [(10, 1), (11, 2), (12, 3), (13, 1)]  # meaning, source
SOURCES = [(1, 7, 70), (2, 5, 70), (3, 2, "")]  # source, quality, group: 1 and 2 copy from each other
DENOTATIONS = [(10, 1), (10, 3), (10, 5), (11, 1), (11, 3), (12, 1), (12, 3), (12, 2), (13, 4), (13, 2), (13, 6)]
VARIETIES = [(187, "eng", 0), (188, "eng", 4), (666, "swh", 0), (157, "deu", 0)]
PANLEX_PAIRS = [("dog", "mbwa", 9.0), ("hound", "mbwa", 2.0), ("hound", "jibwa, kubwa", 7.0)]


def write_panlex_csv(folder):
    tables = {
        "langvar": ("id,lang_code,var_code,mutable,name_expr,script_expr,meaning,region_expr,uid_expr,grp", VARIETIES),
        "expr": ("id,langvar,txt,txt_degr", [(*row[:2], f'"{row[2]}"', "x") for row in EXPRESSIONS]),
        "denotation": ("id,meaning,expr", [(900 + i, *row) for i, row in enumerate(DENOTATIONS)]),
        "meaning": ("id,source", MEANINGS),
        "source": (
            "id,reg_date,label,url,isbn,author,title,publisher,year,quality,grp,note",
            [(source, *[""] * 8, quality, group, "") for source, quality, group in SOURCES],
        ),
    }
    for name, (header, rows) in tables.items():
        width = header.count(",") + 1
        lines = [",".join(map(str, (*row, *[""] * (width - len(row))))) for row in rows]
        (folder / f"{name}.csv").write_text("\n".join([header, *lines, ""]))
    return folder / "expr.csv"


def write_panlex_lite(path, new=True):
    names = (
        ("langvar (id INTEGER PRIMARY KEY, uid TEXT, lang_code TEXT)", "expr (id, langvar, txt)")
        if new
        else ("lv (lv INTEGER PRIMARY KEY, uid TEXT, lc TEXT, tt TEXT)", "ex (ex, lv, tt)")
    )
    denotation = "denotationx (meaning, source, grp, quality, expr, langvar)" if new else "dnx (mn, ap, ui, uq, ex)"
    source_of, standing = dict(MEANINGS), {source: (group or source, quality) for source, quality, group in SOURCES}
    with sqlite3.connect(path) as database:
        for table in (*names, denotation):
            database.execute(f"CREATE TABLE {table}")
        for variety, code, number in VARIETIES:
            row = (variety, f"{code}-{number:03}", code, "")[: 3 if new else 4]
            database.execute(f"INSERT INTO {names[0].split()[0]} VALUES ({','.join('?' * len(row))})", row)
        database.executemany(f"INSERT INTO {names[1].split()[0]} VALUES (?, ?, ?)", EXPRESSIONS)
        for meaning, expression in DENOTATIONS:
            row = (meaning, source_of[meaning], *standing[source_of[meaning]], expression, 0)[: 6 if new else 5]
            database.execute(f"INSERT INTO {denotation.split()[0]} VALUES ({','.join('?' * len(row))})", row)
    database.close()
    return path


# Name -> file, content, options, pairs.
SAMPLES = {
    "wiktextract": (
        "kaikki.jsonl",
        "".join(json.dumps(entry) + "\n" for entry in WIKTEXTRACT).encode(),
        {"language": "sw"},
        [("dog", "mbwa"), ("water", "maji"), ("book", "kitabu"), ("volume", "kitabu"), ("tome", "kitabu")],
    ),
    "dix": (
        "apertium-eng-spa.eng-spa.dix",
        DIX.encode(),
        {},
        [
            ("dog", "perro"),
            ("bus stop", "parada de autobús"),
            ("puppy", "cachorro"),
            ("radio", "radio"),
            ("real", "real"),
            ("take away", "quitar"),
        ],
    ),
    "fast_align": (
        "table.txt",
        b"<eps>\tna\t-1.2\ndog\tmbwa\t-0.105361\ndog\t<eps>\t-0.1\ndog\tkubwa\t-4.5\nwater\tmaji\t-0\n",
        {},
        [("dog", "mbwa", 0.9), ("water", "maji", 1.0)],
    ),
    "moses": (
        "lex.f2e",
        b"mbwa dog 0.9000000\nNULL dog 0.1000000\nna NULL 0.5\nkubwa dog 0.0010000\n",
        {},
        [("dog", "mbwa", 0.9)],
    ),
    "eflomal": (
        "en-sw.priors",
        b"LEX\tdog\tmbwa\t9\nLEX\tdog\tjibwa\t2\nLEX\tdog\tna\t1\nLEX\t<NULL>\tna\t5\nHMMF\t1\t7\nFERF\tdog\t1\t3\n",
        {},
        [("dog", "mbwa", 0.75), ("dog", "jibwa", 1 / 6)],
    ),
    "cedict": (
        "cedict_ts.u8",
        CEDICT.encode(),
        {},
        [
            ("China", "中国"),
            ("Middle Kingdom", "中国"),
            ("durable", "皮实"),
            ("sturdy", "皮实"),
            ("tough", "皮实"),
            ("dog", "狗"),
            ("Taiwan", "台湾"),
            ("king", "王"),
        ],
    ),
    "edict": (
        "edict2u",
        EDICT2.encode(),
        {},
        [
            ("gathering up", "収集", 1.0),
            ("collection", "収集", 1.0),
            ("obvious", "明白", 0.1),
            ("clear", "明白", 0.1),
            ("display", "ディスプレー", 1.0),
            ("zero", "〇", 0.1),
            ("nil", "〇", 0.1),
            ("nothing", "ゼロ", 0.1),
            ("zilch", "ゼロ", 0.1),
            ("circle", "〇", 0.1),
        ],
    ),
    "jmdict": (
        "JMdict_e",
        JMDICT.encode(),
        {},
        [("dog", "犬", 1.0), ("squealer", "いぬ", 1.0), ("display", "ディスプレー", 0.1)],
    ),
}


def read(path, **options):
    reading = Reading(path, ReadOptions(**options))
    return list(find_format(reading).read(reading)), reading.counts


def triples(pairs):
    """What is compared: weights to six digits, none where there is none."""
    return [
        tuple(part if not isinstance(part, float) else round(part, 6) for part in pair[:3] if part is not None)
        for pair in pairs
    ]


def write_sample(folder, name):
    file, content, options, pairs = SAMPLES[name]
    path = folder / file
    path.write_bytes(content)
    return path, options, triples(pairs)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_is_known_as_itself_and_gives_its_pairs(tmp_path, name):
    path, options, pairs = write_sample(tmp_path, name)
    reading = Reading(path, ReadOptions(**options))
    assert name == find_format(reading).NAME
    assert triples(find_format(reading).read(reading)) == pairs
    head = reading.head()
    known = {other for other in SAMPLES if FORMATS[other].matches(path, head)}
    assert known == {name}


@pytest.mark.parametrize("name", SAMPLES)
def test_compressed_samples_read_the_same(tmp_path, name):
    path, options, pairs = write_sample(tmp_path, name)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert triples(read(packed, **options)[0]) == pairs


@pytest.mark.parametrize("name", [*SAMPLES, "panlex"])
@pytest.mark.parametrize("keep", [False, True])
def test_unusable_files_are_named(tmp_path, name, keep):
    options = {"format": name, "language": "sw", "keep_good_lines": keep}
    with pytest.raises(UserError, match="missing"):
        read(tmp_path / "missing.gz", **options)
    cut = tmp_path / "cut.gz"
    content = SAMPLES[name][1] if name in SAMPLES else b"id,langvar,txt\n"
    cut.write_bytes(gzip.compress(content)[:-12])
    with pytest.raises(UserError, match=r"cut\.gz"):
        read(cut, **options)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("junk", [bytes(range(256)) * 64, b"\x00" * 4096, b"\x1f\x8b\x08 not gzip", b"\xff\xfe<\x00"])
def test_binary_junk_is_malformed_at_a_place(tmp_path, name, junk):
    path = tmp_path / "junk"
    path.write_bytes(junk)
    with pytest.raises(UserError, match=r"junk, line \d+: "):
        read(path, format=name, language="sw")
    pairs, counts = read(path, format=name, language="sw", keep_good_lines=True)
    assert not pairs
    assert counts["dropped: malformed line"]


@pytest.mark.parametrize("name", SAMPLES)
def test_an_empty_file_has_no_pairs_and_no_format(tmp_path, name):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert not FORMATS[name].matches(path, b"")
    if name in ("dix", "jmdict"):
        with pytest.raises(UserError, match="broken XML"):
            read(path, format=name)
    else:
        assert read(path, format=name, language="sw")[0] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_a_line_of_ten_megabytes_is_malformed_and_the_rest_kept(tmp_path, name):
    path, options, pairs = write_sample(tmp_path, name)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], b"<" * 10_000_000 + b"\n", lines[-1]]))
    with pytest.raises(UserError, match=rf"line {len(lines)}"):
        read(path, format=name, **options)
    kept, counts = read(path, format=name, keep_good_lines=True, **options)
    assert triples(kept) == pairs
    assert counts["dropped: malformed line"] == 1


BAD_LINES = {
    "wiktextract": [b'{"word": "cut', b"[" * 100_000, b'["a list"]', b"9" * 5000, b'{"word": "\xff"}'],
    "fast_align": [
        b"dog\tmbwa",
        b"dog\tmbwa\thigh",
        b"dog\tmbwa\t0.7",
        b"dog\tmbwa\tnan",
        b"dog\t\t-1",
        b"\xff\tx\t-1",
    ],
    "moses": [b"mbwa dog", b"mbwa dog 1.5", b"mbwa dog -1", b"mbwa dog inf", b"mbwa dog cat 0.5"],
    "eflomal": [b"LEX\tdog\tmbwa", b"LEX\tdog\tmbwa\tx", b"dog\tmbwa\t3", b"LEX\tdog\tmbwa\t-2", b"LEX\t\tmbwa\t2"],
    "cedict": ["狗 [gou3] /dog/".encode(), "狗 狗 gou3 /dog/".encode(), "狗 狗 [gou3] dog".encode(), b"\xb9\xb7"],
    "edict": ["犬 いぬ dog".encode(), "犬 [いぬ dog".encode(), b"no slash"],
}


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, lines in BAD_LINES.items() for bad in lines])
def test_a_malformed_line_is_named_and_the_rest_kept(tmp_path, name, bad):
    path, options, pairs = write_sample(tmp_path, name)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1], bad, b"\n", *lines[2:]]))
    with pytest.raises(UserError, match=r", line 3: "):
        read(path, format=name, **options)
    kept, counts = read(path, format=name, keep_good_lines=True, **options)
    assert triples(kept) == pairs
    assert counts["dropped: malformed line"] == 1


@pytest.mark.parametrize(
    "name", ["dix", "jmdict"], ids=["a cut dix file keeps what came before", "a cut JMdict keeps what came before"]
)
def test_broken_xml(tmp_path, name):
    path, options, pairs = write_sample(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"</e")])
    with pytest.raises(UserError, match=r"line \d+: broken XML"):
        read(path, **options)
    kept, counts = read(path, keep_good_lines=True, **options)
    assert triples(kept) == pairs[: len(kept)]
    assert kept
    assert counts["dropped: malformed line"] == counts["files of which the rest could not be read"] == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("<dictionary><section>" + "<e>" * 500, "deep"),
        ("<dictionary><section><e><p><l>" + "a" * (17 << 20), "no end of an element"),
        ("<dictionary><section><e><i>&nosuch;</i></e></section></dictionary>", "broken XML"),
        (
            '<!DOCTYPE dictionary [<!ENTITY a0 "haha">'
            + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
            + "]><dictionary><section><e><i>&a11;</i></e></section></dictionary>",
            "of other entities",
        ),
    ],
    ids=["nested", "endless text", "undefined entity", "entities of entities"],
)
def test_hostile_xml_is_a_sentence(tmp_path, content, says):
    path = tmp_path / "x.dix"
    path.write_text(content)
    with pytest.raises(UserError, match=says):
        read(path, format="dix")


@pytest.mark.parametrize("name", ["wiktextract", "panlex"])
def test_files_of_many_languages_need_one(tmp_path, name):
    path = write_panlex_csv(tmp_path) if name == "panlex" else write_sample(tmp_path, name)[0]
    for language, says in (("", "--language"), ("nosuch", "not a language"), ("!!", "not a language")):
        with pytest.raises(UserError, match=says):
            read(path, language=language)


@pytest.mark.parametrize("language", ["sw", "swa", "swh", "sw-TZ", "sw-Latn"])
def test_a_language_has_many_codes(tmp_path, language):
    assert triples(read(write_sample(tmp_path, "wiktextract")[0], language=language)[0])[:1] == [("dog", "mbwa")]
    assert triples(read(write_panlex_csv(tmp_path), language=language)[0]) == PANLEX_PAIRS


def test_wiktextract_counts_what_it_leaves_out(tmp_path):
    path, options, _ = write_sample(tmp_path, "wiktextract")
    assert read(path, **options)[1] == {
        "dropped: entry without a word": 1,
        "dropped: translation without a word": 2,
        "dropped: affix, character or symbol": 1,
        "dropped: definition, not a translation": 1,
        "dropped: inflected form or variant": 2,
        "dropped: personal name": 1,
        "dropped: sense without a gloss": 1,
    }
    assert triples(read(path, language="de")[0]) == [("dog", "Hund"), ("dog", "Hund")]


def test_a_wiktextract_line_may_have_megabytes(tmp_path):
    path, options, pairs = write_sample(tmp_path, "wiktextract")
    long = {"word": "long", "lang_code": "en", "senses": [{"glosses": ["x" * (3 << 20)]}]}
    path.write_bytes(json.dumps(long).encode() + b"\n" + path.read_bytes())
    assert triples(read(path, format="wiktextract", **options)[0]) == pairs


def test_dix_directions(tmp_path):
    path, _, _ = write_sample(tmp_path, "dix")
    pairs, counts = read(path, target_first=True)
    assert ("sabueso", "hound") in triples(pairs)
    assert ("cachorro", "puppy") not in triples(pairs)
    assert ("perro", "dog") in triples(pairs)
    assert counts == read(path)[1]  # one entry each way, the rest alike
    assert counts["dropped: regular expression"] == 1
    assert counts["dropped: entry for the other direction"] == 1
    assert counts["dropped: stand-in for all pronouns"] == 1


def test_fast_align_weights_are_probabilities_and_the_minimum_is_the_users(tmp_path):
    path, _, _ = write_sample(tmp_path, "fast_align")
    counts = read(path)[1]
    assert counts == {"dropped: word aligned to nothing": 2, "dropped: probability below the minimum": 1}
    weights = {pair.target: pair.weight for pair in read(path, minimum_weight=1e-9)[0]}
    assert weights == pytest.approx({"mbwa": 0.9, "kubwa": math.exp(-4.5), "maji": 1.0}, abs=1e-6)
    assert [pair.target for pair in read(path, minimum_weight=0.95)[0]] == ["maji"]


def test_reverse_tables_are_read_the_other_way(tmp_path):
    path = tmp_path / "reverse"
    path.write_bytes(b"mbwa\tdog\t-0.5\n")
    assert read(path, target_first=True)[0][0][:2] == ("dog", "mbwa")
    path.write_bytes(b"LEX\tmbwa\tdog\t3\nLEX\tjibwa\tdog\t1\nLEX\tmbwa\thound\t4\n")
    pairs = [("dog", "mbwa", 0.75), ("dog", "jibwa", 0.25), ("hound", "mbwa", 1.0)]
    assert triples(read(path, target_first=True)[0]) == pairs


def test_old_fast_align_writes_spaces(tmp_path):
    path = tmp_path / "table"
    path.write_bytes(b"dog mbwa -0.1\nwater maji -0.2\n")
    assert [pair[:2] for pair in read(path)[0]] == [("dog", "mbwa"), ("water", "maji")]


@pytest.mark.parametrize("language", ["zh-Hant", "zh-TW", "zh-HK"])
def test_cedict_gives_the_script_that_is_asked_for(tmp_path, language):
    path, _, pairs = write_sample(tmp_path, "cedict")
    traditional = [pair[1] for pair in triples(read(path, language=language)[0])]
    assert traditional[0] == "中國"
    assert len(traditional) == len(pairs)
    assert triples(read(path, language="zh-Hans")[0]) == triples(read(path, language="zh")[0]) == pairs


def test_cedict_counts_what_it_leaves_out(tmp_path):
    counts = read(write_sample(tmp_path, "cedict")[0])[1]
    assert counts["dropped: classifier, name or cross-reference"] == 6
    assert counts["dropped: definition, not a translation"] == 1


def test_edict_in_euc_jp_reads_the_same(tmp_path):
    path, _, pairs = write_sample(tmp_path, "edict")
    path.write_bytes(EDICT2.encode("euc_jp"))
    reading = Reading(path, ReadOptions())
    assert find_format(reading).NAME == "edict"
    assert triples(find_format(reading).read(reading)) == pairs


def test_panlex_csv_by_any_of_its_files_or_its_folder(tmp_path):
    write_panlex_csv(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        assert find_format(Reading(path)).NAME == "panlex"
        assert triples(read(path, language="sw")[0]) == PANLEX_PAIRS
    assert triples(read(tmp_path, language="sw", format="panlex")[0]) == PANLEX_PAIRS
    pairs, counts = read(tmp_path, language="sw", format="panlex", minimum_weight=7)
    assert triples(pairs) == [PANLEX_PAIRS[0], PANLEX_PAIRS[2]]
    assert counts["dropped: quality below the minimum"] == 1
    assert read_lexicon(tmp_path, ReadOptions("panlex", "sw")).entries  # as the command line reads it


@pytest.mark.parametrize("new", [False, True])
def test_panlex_lite_has_the_pairs_of_the_dump(tmp_path, new):
    path = write_panlex_lite(tmp_path / "db.sqlite", new)
    before = path.read_bytes()
    assert find_format(Reading(path)).NAME == "panlex"
    assert sorted(triples(read(path, language="sw")[0])) == sorted(PANLEX_PAIRS)
    with pytest.raises(UserError, match="no variety of --language=fi"):
        read(path, language="fi")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["db.sqlite"]  # no journal beside it


def test_panlex_tables_that_are_missing_or_broken(tmp_path):
    path = write_panlex_csv(tmp_path)
    good = path.read_text()
    path.write_text(good + '9,666\n10,666,"cut\n')
    with pytest.raises(UserError, match=r"expr\.csv, line 9: 2 columns, 4 expected"):
        read(path, language="sw")
    pairs, counts = read(path, language="sw", keep_good_lines=True)
    assert triples(pairs) == PANLEX_PAIRS
    assert counts["dropped: malformed line"] == 4  # two lines, and expr is read twice
    path.write_text('"id"x,langvar\n')
    with pytest.raises(UserError, match=r"expr\.csv, line 1: not CSV"):
        read(path, language="sw", format="panlex")
    path.write_text("number,text\n")
    with pytest.raises(UserError, match=r"expr\.csv, line 1: columns id, langvar, txt expected"):
        read(path, language="sw", format="panlex")
    with pytest.raises(UserError, match="no variety of --language=fi"):
        read(path, language="fi", format="panlex")
    (tmp_path / "source.csv").unlink()
    path.write_text(good)
    with pytest.raises(UserError, match=r"source\.csv is missing"):
        read(path, language="sw")


def test_a_database_that_is_broken_or_of_something_else(tmp_path):
    path = write_panlex_lite(tmp_path / "db.sqlite")
    content = path.read_bytes()
    for broken in (content[:5000], content.replace(b"TABLE expr", b"TABLE \x80xpr")):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"db\.sqlite, SQLite database: cannot be read"):
            read(path, language="sw")
    packed = tmp_path / "db.sqlite.gz"
    packed.write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match="unpack the SQLite database"):
        read(packed, language="sw")
    other = tmp_path / "other"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE expr (id, langvar, txt)")
        database.execute("CREATE VIEW langvar AS SELECT 1 AS id, 'eng-000' AS uid, 'eng' AS lang_code")
        database.execute("CREATE TABLE denotationx (expr, meaning, grp, quality)")
    with pytest.raises(UserError, match="no PanLex Lite database"):
        read(other, language="sw")


def test_the_database_cannot_be_written_even_by_sql_of_its_own(tmp_path):
    path = write_panlex_lite(tmp_path / "db.sqlite")
    with contextlib.closing(panlex_sqlite._connect(Reading(path))) as database:
        database.execute("PRAGMA query_only = OFF")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("CREATE TABLE x (y)")


def test_xml_is_streamed(tmp_path):
    path = tmp_path / "large.dix"
    entries = "".join(f"<e><p><l>word{i}</l><r>neno{i}</r></p></e>\n" for i in range(20_000))
    path.write_text(f"<dictionary><section>{entries}</section></dictionary>")
    tracemalloc.start()
    count = sum(1 for _ in FORMATS["dix"].read(Reading(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 4 << 20  # the whole tree takes 12 MB


@pytest.mark.parametrize(
    ("gloss", "kept"),
    [
        ("to run away quickly (from); run", ["to run away quickly", "run"]),
        ("a kind of bird", ["a kind of bird"]),
        ("kind of big bird", []),
        ("part of the body", []),
        ("china rose bush flower", []),
        ("dog [animal (four legs)], hound.", ["dog", "hound"]),
        ("unclosed (note", []),
        (" ; ,", []),
    ],
)
def test_short_glosses(gloss, kept):
    assert list(short_glosses(Reading(None), gloss, ";,")) == kept


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*SAMPLES, "panlex csv", "panlex lite"]),
    place=st.floats(0, 1),
    junk=st.binary(max_size=12),
    removed=st.integers(0, 40),
    keep=st.booleans(),
)
def test_damage_anywhere_is_a_sentence_or_harmless(tmp_path, name, place, junk, removed, keep):
    if name in SAMPLES:
        path = write_sample(tmp_path, name)[0]
    else:
        (tmp_path / "db.sqlite").unlink(missing_ok=True)
        path = write_panlex_csv(tmp_path) if "csv" in name else write_panlex_lite(tmp_path / "db.sqlite")
    content = path.read_bytes()
    start = int(place * len(content))
    path.write_bytes(content[:start] + junk + content[start + removed :])
    try:
        pairs = read(path, format=name.split()[0], language="sw", keep_good_lines=keep)[0]
    except UserError as error:
        assert str(tmp_path) in str(error)
    else:
        assert all(isinstance(pair.source, str) and isinstance(pair.target, str) for pair in pairs)
