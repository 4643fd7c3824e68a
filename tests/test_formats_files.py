import csv
import gzip

import pytest

from linkjax.errors import UserError
from linkjax.lexicon import ReadOptions, read_lexicon
from linkjax.lexicon.formats import Reading, find_format

KEEP = ReadOptions(keep_good_lines=True)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def raw_pairs(path, **options):
    reading = Reading(path, ReadOptions(**options))
    return [tuple(pair)[:2] for pair in find_format(reading).read(reading)]


def complaint(path, options=None):
    with pytest.raises(UserError) as error:
        read_lexicon(path, options or ReadOptions())
    assert path.name.split(".")[0] in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


# Plain tables


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("en_bci.tsv", "dog\twakpa\nthe early bird, they say\tx, y\n", "tsv"),
        ("a.txt", "dog\tmbwa\ncat\tpaka\nhot dog\n", "tsv"),
        ("a.txt", "dog,mbwa\ncat,paka\n", "csv"),
        ("a.csv", "dog;mbwa, jibwa\ncat;paka, nyau\n", "csv"),
        ("a.csv", '"dog","mbwa; jibwa"\n"cat","paka; nyau"\n', "csv"),
        ("en-sw.0-5000.txt", "dog mbwa\ncat paka\n", "muse"),
        ("en-sw.txt", "dog mbwa\n, ,\ncat\tpaka\n", "muse"),
    ],
)
def test_tables_are_told_apart(tmp_path, name, content, format):
    assert format == find_format(Reading(write(tmp_path / name, content))).NAME


def test_gatitos_layout(tmp_path):
    path = write(tmp_path / "en_bci.tsv", "dog\twakpa\nin, at\tnun\n(he) goes\tkɔ\ndog\talua\n")
    assert read_lexicon(path).entries == {"dog": ("wakpa", "alua"), "in, at": ("nun",), "goes": ("kɔ",)}


def test_muse_with_tabs_and_spaces(tmp_path):
    lexicon = read_lexicon(write(tmp_path / "en-sw.txt", "dog mbwa\ncat paka\nwater\tmaji safi\n"))
    assert lexicon.entries == {"dog": ("mbwa",), "cat": ("paka",), "water": ("maji safi",)}


@pytest.mark.parametrize(
    ("delimiter", "quoting"), [(",", csv.QUOTE_ALL), (";", csv.QUOTE_MINIMAL), (",", csv.QUOTE_MINIMAL)]
)
def test_csv_as_pythons_writer_and_spreadsheets_write_it(tmp_path, delimiter, quoting):
    rows = [("dog", "mbwa, jibwa"), ('so called "cat"', "paka; nyau"), ("owl", "bundi")]
    with (tmp_path / "x.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(rows)
    assert raw_pairs(tmp_path / "x.csv", format="csv") == rows


def test_a_comma_within_a_cell_separates_nothing_where_semicolons_do(tmp_path):
    path = write(tmp_path / "x.csv", "dog;mbwa, jibwa\ncat;paka, nyau\n")
    assert raw_pairs(path) == [("dog", "mbwa, jibwa"), ("cat", "paka, nyau")]


def test_columns_swap_and_further_ones_are_left_out(tmp_path):
    path = write(tmp_path / "x.tsv", "mbwa\tdog\tn.\npaka\tcat\t0.93\n")
    lexicon = read_lexicon(path, ReadOptions(target_first=True))
    assert lexicon.entries == {"dog": ("mbwa",), "cat": ("paka",)}
    assert lexicon.weights == {}


@pytest.mark.parametrize(
    "header",
    ["source\ttarget", "English\tSwahili", "en\tsw", "eng\tswh\tpos", "english\tTranslation", "Headword\tTranslations"],
)
def test_a_header_is_no_pair(tmp_path, header):
    assert raw_pairs(write(tmp_path / "x.tsv", f"{header}\ndog\tmbwa\n")) == [("dog", "mbwa")]


@pytest.mark.parametrize(
    "pair", ["am\tni", "to\tkwa", "word\tneno", "english\tKiingereza", "source\tasili", "no\tla", "english\txqj"]
)
def test_a_pair_is_no_header(tmp_path, pair):
    assert raw_pairs(write(tmp_path / "x.tsv", f"{pair}\ndog\tmbwa\n")) == [tuple(pair.split("\t")), ("dog", "mbwa")]
    header_later = write(tmp_path / "y.tsv", "dog\tmbwa\nen\tsw\n")
    assert raw_pairs(header_later) == [("dog", "mbwa"), ("en", "sw")]


def test_a_header_says_which_column_is_english_and_which_is_a_weight(tmp_path):
    path = write(tmp_path / "x.csv", "swahili,english,pos,score\nmbwa,dog,n,0.2\njibwa,dog,n,0.9\npaka,cat,n,\n")
    lexicon = read_lexicon(path)
    assert lexicon.entries == {"dog": ("jibwa", "mbwa"), "cat": ("paka",)}
    assert lexicon.weights == {("dog", "mbwa"): 0.2, ("dog", "jibwa"): 0.9}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("dog\tmbwa\nhot dog\ncat\tpaka\n", "line 2: no tab"),
        ("dog,mbwa\nhot dog\ncat,paka\n", "line 2: no comma"),
        ('dog,mbwa\n"owl,bundi\ncat,paka\n', "line 2: not a line of a CSV file"),
        ("dog;mbwa\nowl;" + 140_000 * "x" + "\ncat;paka\n", "line 2: not a line of a CSV file"),
        ("dog mbwa\nhot dog mbwa\ncat paka\n", "line 2: expected two words"),
        ("english\ttarget\tweight\ndog\tmbwa\theavy\ncat\tpaka\t1\ndog\tmbwa\t1\n", "line 2: the weight 'heavy'"),
        ("english\ttarget\tweight\ndog\tmbwa\tnan\ncat\tpaka\t1\ndog\tmbwa\t1\n", "line 2: the weight 'nan'"),
        (b"dog\tmbwa\nowl\tb\xffndi\ncat\tpaka\n", "line 2: not UTF-8"),
        ("dog\tmbwa\nowl\t\0\ncat\tpaka\n", "line 2: holds a NUL"),
        ("dog\tmbwa\nowl\t" + 10_000_000 * "x" + "\ncat\tpaka\n", "line 2: longer than"),
    ],
)
def test_malformed_lines_are_named_or_left_out(tmp_path, content, says):
    path = write(tmp_path / "bad.txt", content)
    assert says in complaint(path)
    lexicon = read_lexicon(path, KEEP)
    assert lexicon.entries == {"dog": ("mbwa",), "cat": ("paka",)}
    assert lexicon.cleaning["dropped: malformed line"] == 1


def test_comments_are_no_malformed_lines(tmp_path):
    quoted = '"dog"\t"mbwa"\n"the ""cat"""\t"paka"\n"mother’s day"\t"siku ya mama"\n'
    lexicon = read_lexicon(write(tmp_path / "quoted.tsv", quoted))
    assert lexicon.entries["dog"] == ("mbwa",) and lexicon.entries["mother's day"] == ("siku ya mama",)
    lexicon = read_lexicon(write(tmp_path / "x.tsv", "# Words\n#\tneno\ndog\tmbwa\ncat\tpaka\n"))
    assert lexicon.cleaning["dropped: comment line"] == 1


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", 10_000_000 * b"x", bytes(5000)]
)
def test_what_is_no_word_list_is_a_sentence(tmp_path, content):
    complaint(write(tmp_path / "junk", content))
    assert "no usable line" in complaint(write(tmp_path / "junk", content), KEEP)
    for format in ("csv", "tei"):
        complaint(tmp_path / "junk", ReadOptions(format=format))
    assert "directory" in complaint(tmp_path).lower()


# dictd

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def digits(number):
    return (digits(number // 64) if number >= 64 else "") + DIGITS[number % 64]


def write_dictd(folder, entries, name="eng-tst", suffix=".dict.dz", more_index=""):
    """Writes (key, entry) pairs as dictfmt does."""
    body, index = b"", ""
    for key, entry in entries:
        data = entry.encode()
        index += f"{key}\t{digits(len(body))}\t{digits(len(data))}\n"
        body += data
    write(folder / f"{name}{suffix}", gzip.compress(body) if suffix.endswith(".dz") else body)
    return write(folder / f"{name}.index", index + more_index)


@pytest.mark.parametrize("suffix", [".dict.dz", ".dict"])
def test_either_file_of_a_dictd_dictionary_may_be_named(tmp_path, suffix):
    filler = [(f"word{i}", f"word{i} /w/ <n>\n\nneno{i}\n") for i in range(500)]  # offsets of three digits
    entries = [("00databaseshort", "A dictionary\n\nnot a pair\n"), ("monday", "Monday /m/ <n>\n\nJumatatu\n"), *filler]
    index = write_dictd(tmp_path, entries, suffix=suffix)
    lexicon = read_lexicon(index)
    assert lexicon.entries == {"monday": ("Jumatatu",), **{f"word{i}": (f"neno{i}",) for i in range(500)}}
    assert lexicon.capitalised == {"monday"}
    other = read_lexicon(tmp_path / f"eng-tst{suffix}")
    assert other.fingerprint == lexicon.fingerprint
    swapped = read_lexicon(index, ReadOptions(target_first=True))
    assert swapped.entries["jumatatu"] == ("Monday",)


ENTRIES = [
    # pronunciation, grammar, senses, both separators, notes
    (
        "cabinet /kˈabɪnət/ <n>\n1. kabine, bakanlar kurulu\n2. (müz.) dolap; küçük oda.\n",
        "cabinet kabine|bakanlar kurulu|dolap|küçük oda",
    ),
    # after the first sentence come phrases and their senses
    ("reap /ɹ/\n1. biçmek\n2. almak. reaping hook orak.\n3. orak\n", "reap biçmek|almak"),
    ("rear /ɹ/\n1. arka\n2. geri.\n", "rear arka|geri"),
    # phrases with the headword, derivatives, things run together, explanations, endings, abbreviations, torn words
    ("wreck /ɹ/\n1. harabe, wreck ship enkaz\n2. enkaz\n", "wreck harabe|enkaz"),
    ("panic /p/\n1. panik, panicky kişi, korku\n", "panic panik|korku"),
    ("practice /p/\n1. (İng.) practise  tatbikat, uygulama\n", "practice uygulama"),
    ("aardvark /a/\n1. afrikada bulunan bir hayvan türü, yaban domuzu\n", "aardvark yaban domuzu"),
    ("so far so good /s/\nbis hierher ging alles gut\n", "so far so good bis hierher ging alles gut"),
    ("on /ɒ/\n1. üstünde, -de, -da\n", "on üstünde"),
    ("a /eɪ/\n1. bir, her: twice a year senede iki defa, iki\n", "a bir|her"),
    ("greet /ɡ/\njdn. ansprechen, grüßen\n", "greet grüßen"),
    ("grow /ɡ/\n1. gü1ce, büyümek, v.b. olmak\n", "grow büyümek"),
    ("increase /ɪ/\n1. artmak, (çoğ.)almak, (kıs.)ım\n", "increase artmak|çoğalmak|kısım"),
    # cross references and species
    ("swept /s/\n1. (bak.) sweep\n2. süpürülmüş\n", "swept süpürülmüş"),
    ("abaca /a/\n1. kenevir muzu, (bot.) Musa textilis\n", "abaca kenevir muzu"),
    # spellings of a headword, but not endings
    ("thrace , thracia /θ/\n1. Trakya\n", "thrace Trakya;thracia Trakya"),
    ("tyrannic, -nical /t/\n1. zalim\n", "tyrannic zalim"),
    ("blood, sweat and tears /b/\nBlut und Tränen\n", "blood, sweat and tears Blut und Tränen"),
    # lines that are not translations
    (
        'sleek /s/ <Adj>\n1. glatt <adj> [fig.]\n      "She has sleek hair."\n   Synonym: {smooth}\n see: {slick}\n\n',
        "sleek glatt",
    ),
    (" agree /ɐ/ <v>\n\n patana\n", "agree patana"),
    ("and/or /ænd/ <conj>\nund oder\n", "and/or und oder"),
]


@pytest.mark.parametrize(("entry", "expected"), ENTRIES, ids=[expected for _, expected in ENTRIES])
def test_translations_of_a_dictd_entry(tmp_path, entry, expected):
    pairs = []
    for part in expected.split(";"):
        headword = next(h for h in (entry.split(" /")[0].strip(), *part.split(" ")) if part.startswith(h + " "))
        pairs += [(headword, translation) for translation in part.removeprefix(headword + " ").split("|")]
    assert raw_pairs(write_dictd(tmp_path, [("key", entry)])) == pairs


def test_what_is_left_out_of_a_dictd_dictionary_is_counted(tmp_path):
    lexicon = read_lexicon(write_dictd(tmp_path, [(f"k{i}", entry) for i, (entry, _) in enumerate(ENTRIES)]))
    dropped = {step.removeprefix("dropped: "): n for step, n in lexicon.cleaning.items() if step.startswith("dropped")}
    assert dropped == {
        "rest of an entry after its first sentence": 1,
        "phrase with the headword": 2,
        "two things run together": 1,
        "explanation, not a translation": 1,
        "ending of a word": 2,
        "example after a colon": 1,
        "mark inside a word or an abbreviation": 4,
        "cross reference": 1,
    }


def test_an_entry_with_several_keys_is_read_once(tmp_path):
    index = write_dictd(tmp_path, [("dog", "dog /d/\n\nmbwa\n")])
    write(index, index.read_text() + index.read_text().replace("dog", "dogs"))
    assert read_lexicon(index).cleaning["pairs read"] == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cat\tA", "expected key, offset and length"),
        ("cat", "expected key, offset and length"),
        ("cat\t\tB", "a number of 0 digits"),
        ("cat\tA-\tB", "'-' is no such digit"),
        ("cat\tA\t////", "16,777,215 bytes from byte 0 of 14"),
        ("cat\tP\tB", "1 bytes from byte 15 of 14"),
        ("cat\t" + 5000 * "B" + "\tB", "a number of 5000 digits"),
    ],
)
def test_bad_lines_of_a_dictd_index(tmp_path, line, says):
    index = write_dictd(tmp_path, [("dog", "dog /d/\n\nmbwa\n")], more_index=line + "\n")
    for path in (index, tmp_path / "eng-tst.dict.dz"):
        message = complaint(path)
        assert says in message
        assert f"{index}, line 2:" in message
    lexicon = read_lexicon(index, KEEP)
    assert lexicon.entries == {"dog": ("mbwa",)}
    assert lexicon.cleaning["dropped: malformed line"] == 1


def test_an_offset_within_a_letter_is_malformed(tmp_path):
    index = write_dictd(tmp_path, [("é", "é /e/\n\nneno\n")])
    write(index, index.read_text() + f"e\t{digits(1)}\t{digits(8)}\n")
    assert "line 2: expected key, offset" in complaint(index)


def test_a_dictd_dictionary_without_its_other_file(tmp_path):
    index = write_dictd(tmp_path, [("dog", "dog /d/\n\nmbwa\n")])
    body = tmp_path / "eng-tst.dict.dz"
    content = body.read_bytes()
    write(body, content[:-12])
    assert "eng-tst.dict.dz cannot be read" in complaint(index)
    write(body, b"junk" + content)
    assert "eng-tst.dict.dz cannot be read" in complaint(index)
    body.unlink()
    assert "no eng-tst.dict.dz or eng-tst.dict is beside" in complaint(index)
    write(body, content)
    index.unlink()
    assert "eng-tst.index cannot be read: No such file" in complaint(body)


def test_a_dictionary_too_large_for_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("linkjax.lexicon.formats.dictd._MOST_BYTES", 10)
    assert "is longer than 10 bytes" in complaint(write_dictd(tmp_path, [("dog", "dog /d/\n\nmbwa\n")]))


def count(lexicon):
    return len(lexicon), sum(" " not in source for source in lexicon.entries), len(list(lexicon.pairs()))


def test_real_english_swahili_dictionary(real_data):
    lexicon = read_lexicon(real_data / "lexicons/freedict-eng-swh.index")
    assert count(lexicon) == (1346, 1099, 1445)
    assert lexicon.entries["agree"] == ("kubali", "patana")
    assert lexicon.entries["how many"] == ("ngapi",)
    assert lexicon.entries["thank you"] == ("asante",)
    assert {"august", "africa"} <= lexicon.capitalised
    assert read_lexicon(real_data / "lexicons/freedict-eng-swh.dict.dz").fingerprint == lexicon.fingerprint


def test_real_english_turkish_dictionary(real_data):
    lexicon = read_lexicon(real_data / "lexicons/freedict-eng-tur.dict.dz", ReadOptions(language="tr"))
    assert count(lexicon) == (30246, 29847, 105959)
    assert lexicon.entries["newspaper"] == ("gazete",)
    assert lexicon.entries["piggish"] == ("domuz gibi", "obur", "pis", "bencil")
    assert {"bayrak", "sancak", "bandıra"} < set(lexicon.entries["flag"])
    assert {"kısım", "parça"} < set(lexicon.entries["partition"])
    assert "suikast teşebbüsü" not in lexicon.entries["attempt"]
    assert not any("welcome" in target for target in lexicon.entries["welcome"])
    assert "swept" not in lexicon.entries  # "see sweep"


# TEI


def tei(*entries, start='<?xml version="1.0" encoding="UTF-8"?>\n<TEI xmlns="http://www.tei-c.org/ns/1.0">\n'):
    header = "<teiHeader><fileDesc><titleStmt><title>x</title></titleStmt></fileDesc></teiHeader>\n"
    return f"{start}{header}<text><body>\n" + "\n".join(entries) + "\n</body></text></TEI>\n"


def entry(headword, *translations):
    senses = "".join(f'<sense><cit type="trans"><quote>{text}</quote></cit></sense>' for text in translations)
    return f"<entry><form><orth>{headword}</orth><pron>x</pron></form><gramGrp><pos>n</pos></gramGrp>{senses}</entry>"


def test_tei(tmp_path):
    content = tei(
        entry("Monday", "Jumatatu"),
        entry("dog", "mbwa", "jibwa; umbwa, kijibwa"),
        """<entry xml:id="x"><form><orth>colour</orth><orth>color</orth>
        <form type="infl"><orth>colours</orth></form></form>
        <sense n="1"><usg>fig</usg><sense><cit type="translation"><quote>rangi <hi>safi</hi></quote></cit></sense>
        <cit type="example"><quote>a red colour</quote><cit type="trans"><quote>rangi nyekundu</quote></cit></cit>
        <xr type="syn"><ref>hue</ref></xr><def>what the eye sees</def></sense>
        <re><form><orth>red</orth></form><sense><cit type="trans"><quote>x</quote></cit></sense></re></entry>""",
        "<entry><form><orth>cat</orth></form><sense><def>paka, an animal one keeps in the house</def></sense></entry>",
        "<superEntry>" + entry("owl", "bundi") + "</superEntry>",
    )
    lexicon = read_lexicon(write(tmp_path / "eng-tst.tei", content))
    assert lexicon.entries == {
        "monday": ("Jumatatu",),
        "dog": ("mbwa", "jibwa", "umbwa", "kijibwa"),
        "colour": ("rangi safi",),
        "color": ("rangi safi",),
        "cat": ("paka",),
        "owl": ("bundi",),
    }
    assert lexicon.cleaning["dropped: explanation, not a translation"] == 1
    assert lexicon.capitalised == {"monday"}
    swapped = read_lexicon(tmp_path / "eng-tst.tei", ReadOptions(target_first=True))
    assert swapped.entries["mbwa"] == ("dog",)
    (tmp_path / "x.gz").write_bytes(gzip.compress(content.encode()))
    assert read_lexicon(tmp_path / "x.gz").fingerprint == lexicon.fingerprint


def test_tei_in_another_encoding_and_on_one_line_of_10_mb(tmp_path):
    start = '<?xml version="1.0" encoding="ISO-8859-1"?><TEI xmlns="http://www.tei-c.org/ns/1.0">'
    content = tei(entry("ear", "örat"), start=start).encode("latin-1")
    assert read_lexicon(write(tmp_path / "x.tei", content)).entries == {"ear": ("örat",)}
    words = "".join(entry(f"word{i}", f"neno{i}") + f"<!--{1000 * '-x'}-->" for i in range(5000))
    content = tei(words).replace("\n", "")
    assert len(content) > 10_000_000
    assert len(read_lexicon(write(tmp_path / "y.tei", content))) == 5000


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", "broken XML"),
        ("<entry><form><orth>x</orth>", "broken XML"),
        ("</form>", "line 7: broken XML (mismatched tag"),
        ("<entry>&nbsp;</entry>", "line 7: broken XML (undefined entity"),
        ("<a \x00>", "line 7: broken XML (not well-formed"),
    ],
)
def test_broken_tei_names_the_line_or_keeps_what_was_before(tmp_path, rest, says):
    content = tei(entry("dog", "mbwa"), entry("cat", "paka")).split("</body>")[0] + rest
    path = write(tmp_path / "bad.tei", content)
    assert says in complaint(path)
    lexicon = read_lexicon(path, KEEP)
    assert lexicon.entries == {"dog": ("mbwa",), "cat": ("paka",)}
    assert lexicon.cleaning["dropped: malformed line"] == 1


def test_tei_of_an_unknown_encoding_deep_or_cut_off_is_a_sentence(tmp_path):
    content = tei(entry("dog", "mbwa"))
    assert "encoding" in complaint(write(tmp_path / "a.tei", content.replace("UTF-8", "klingon")))
    deep = tei("<entry>" + 50_000 * "<sense>" + 50_000 * "</sense>" + "</entry>", entry("dog", "mbwa"))
    assert "deep" in complaint(write(tmp_path / "b.tei", deep))
    cut = gzip.compress(tei(*(entry(f"word{i}", f"neno{i}") for i in range(999))).encode())
    assert "cannot be read" in complaint(write(tmp_path / "c.tei.gz", cut[: len(cut) // 2]))
    assert "cannot be read" in complaint(tmp_path / "missing.tei")
