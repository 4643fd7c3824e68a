"""Preparing data over Apache Beam, and from what SeqIO has cached with it. Needs the extra `beam`."""

import pytest

from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.preparation.runners import RunnerSettings
from linkjax.prepare import prepare
from tests.test_prepare_resumed import config, hashes  # noqa: F401


@pytest.fixture
def beam():
    return pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install -e '.[beam]'")


def test_beam_gives_the_same_folder(tmp_path, config, beam):  # noqa: F811
    config.drop_duplicates = True
    prepare(config, tmp_path / "one")
    prepare(config, tmp_path / "beam", RunnerSettings(beam_runner="DirectRunner"))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "beam")


def test_an_error_in_a_worker_of_beams_is_a_sentence(tmp_path, config, beam):  # noqa: F811
    (tmp_path / "text/en1.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"en1\.txt is not UTF-8 text \(invalid start byte on line 2\)"):
        prepare(config, tmp_path / "out", RunnerSettings(beam_runner="DirectRunner"))
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_runner_that_is_none_is_refused(tmp_path, config, beam):  # noqa: F811
    with pytest.raises(UserError, match="Apache Beam does not take --runner=DirektRunner"):
        prepare(config, tmp_path / "out", RunnerSettings(beam_runner="DirektRunner"))


def test_without_beam_there_is_a_sentence(tmp_path, config, monkeypatch):  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"--runner=DirectRunner needs Apache Beam: pip install 'linkjax\[beam\]'"):
        prepare(config, tmp_path / "out", RunnerSettings(beam_runner="DirectRunner"))


def cache(tasks, folder):
    """Caches tasks as `seqio_cache_tasks` does, by its own code."""
    import apache_beam
    from absl import flags
    from seqio.scripts import cache_tasks_main

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["seqio_cache_tasks"])
    flags.FLAGS.min_shards = 2
    with apache_beam.Pipeline() as pipeline:
        done = cache_tasks_main.run_pipeline(pipeline, tasks, str(folder))
    assert done, "the script has not cached anything"
    for path in folder.iterdir():
        (path / "COMPLETED").write_text("")


def test_what_seqio_has_cached_is_read_in_place_of_its_source(tmp_path, config, beam, monkeypatch):  # noqa: F811
    from tasks.local_text import configure

    prepare(config, tmp_path / "source")
    configure(config)
    cache(["local_text_.*"], tmp_path / "cache")
    for file in (tmp_path / "text").glob("*.txt"):
        file.write_text("something else\n" * 100)
    prepare(config, tmp_path / "cached", cache_dirs=[str(tmp_path / "cache")])
    one, other = (Prepared(tmp_path / name) for name in ("source", "cached"))
    for component in one.components:
        (same,) = (some for some in other.components if some["name"] == component["name"])
        assert sorted(other.documents(same)) == sorted(one.documents(component))
        assert sorted(other.heldout(same)) == sorted(one.heldout(component))
    (file,) = sorted((tmp_path / "cache/local_text_sw").glob("train.tfrecord-00001-*"))
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"train\.tfrecord-00001-of-00002 cannot be read"):
        prepare(config, tmp_path / "cut", cache_dirs=[str(tmp_path / "cache")])
    with pytest.raises(UserError, match="--cache_dir names '/nowhere'"):
        prepare(config, tmp_path / "cut", cache_dirs=["/nowhere"])
