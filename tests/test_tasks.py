"""The SeqIO side: the same tasks work in a plain SeqIO program, with the same swaps."""

import functools

import pytest
import seqio

import tasks.toy_world
from linkjax.data import tasks as seqio_side
from linkjax.errors import UserError
from linkjax.substitution import LinkSettings, Substitution
from tasks.world import World, WorldSettings


@pytest.fixture(autouse=True)
def default_world():
    tasks.toy_world.register()


def test_seqio_and_our_runtime_write_the_same_text_at_pass_0():
    task = seqio.TaskRegistry.get("toy_world_english")
    (step,) = seqio_side.online_steps(task)
    substitution = Substitution(step.read(), step.settings)
    ours = [substitution(d.id, d.text).text for d in seqio_side.documents(task, "train")]
    dataset = task.get_dataset({"targets": 1024}, split="train", shuffle=False)
    decode = seqio.ByteVocabulary().decode
    theirs = [decode(example["targets"].tolist()) for example in dataset.as_numpy_iterator()]
    assert ours == theirs
    assert sum(a != d.text for a, d in zip(ours, seqio_side.documents(task, "train"), strict=True)) > 1000


def test_the_mixture_works_by_itself_and_packs():
    mixture = seqio.get_mixture_or_task("toy_world")
    dataset = mixture.get_dataset({"targets": 128}, split="train", num_epochs=1, seed=0)
    converter = seqio.DecoderFeatureConverter(pack=True)
    row = next(converter(dataset, {"targets": 128}).as_numpy_iterator())
    assert row["decoder_segment_ids"].max() >= 2


def test_ids_depend_on_component_and_text_alone():
    def ids(name, texts):
        task = seqio_side.add_text_task(name, lambda split: texts, splits=["train"], language="en")
        return [document.id for document in seqio_side.documents(task, "train")]

    first = ids("one", ["a", "b", "a"])
    assert first[0] == first[2] != first[1]
    assert ids("one", ["b", "c", "a"])[::2] == first[1::-1]
    assert set(ids("two", ["a", "b"])).isdisjoint(first)
    assert max(ids("many", map(str, range(100)))) > 2**63  # unsigned, all 64 bits


def test_what_the_runtime_cannot_do_is_refused_after_the_placeholder():
    def shout(dataset):
        return dataset

    source = seqio.FunctionDataSource(lambda split, shuffle_files, seed=None: None, splits=["train"])
    features = {"targets": seqio.Feature(seqio.ByteVocabulary())}

    def task(preprocessors):
        seqio_side._forget(seqio.TaskRegistry, "odd")
        return seqio.TaskRegistry.add("odd", source, preprocessors=preprocessors, output_features=features)

    with pytest.raises(UserError, match=r"'shout' after .*: move it before"):
        seqio_side.online_steps(task([seqio.CacheDatasetPlaceholder(), shout, seqio.preprocessors.tokenize]))
    with pytest.raises(UserError, match=r"no seqio\.CacheDatasetPlaceholder"):
        seqio_side.online_steps(task([seqio.preprocessors.tokenize]))
    assert seqio_side.online_steps(task([shout, seqio.CacheDatasetPlaceholder(), seqio.preprocessors.tokenize])) == []
    with pytest.raises(UserError, match="add_text_task"):
        seqio_side.component_of(task([seqio.CacheDatasetPlaceholder()]))


def test_a_users_mistake_inside_tf_data_stays_a_sentence():
    def texts(split):
        yield "fine"
        raise UserError("the file x.txt is broken.")

    task = seqio_side.add_text_task("broken", texts, splits=["train"], language="en")
    with pytest.raises(UserError, match=r"x\.txt is broken"):
        list(seqio_side.documents(task, "train"))


def test_example_rates_give_the_token_shares(toy):
    rates = seqio_side.example_rates(toy.manifest)
    tokens = {c["name"]: rates[c["name"]] * c["tokens"] / c["documents"] for c in toy.components}
    for component in toy.components:
        assert tokens[component["name"]] / sum(tokens.values()) == pytest.approx(component["rate"])


def test_a_word_list_is_text_at_its_share_of_the_tokens(tmp_path):
    from tasks import local_text
    from tasks.text_files import LocalTextSettings

    for name in ("en", "sw"):
        (tmp_path / f"{name}.txt").write_text("a line\n")
    (tmp_path / "list.tsv").write_text("dog\tmbwa\ncat\tpaka\ncat\tnyau\n")
    files = {side: str(tmp_path / f"{name}.txt") for side, name in (("english", "en"), ("target", "sw"))}
    files |= {"lexicon": str(tmp_path / "list.tsv"), "target_language": "sw"}
    local_text.register(LocalTextSettings(**files, word_list_rate=0.2))
    task = seqio.TaskRegistry.get("local_text_word_list_sw")
    assert [d.text for d in seqio_side.documents(task, "train")] == ["cat - paka", "cat - nyau", "dog - mbwa"]
    assert seqio_side.component_of(task).language == "sw"
    rates = dict(seqio.MixtureRegistry.get("local_text")._task_to_rate)
    assert rates == pytest.approx({"local_text_english": 0.7, "local_text_sw": 0.1, "local_text_word_list_sw": 0.2})
    tasks.toy_world.register(WorldSettings(word_list_rate=0.1))
    assert sum(1 for _ in seqio_side.documents(seqio.TaskRegistry.get("toy_world_word_list"), "train")) == len(
        World(WorldSettings()).lexicon_pairs
    )
    with pytest.raises(UserError, match=r"word_list_rate is 0\.95"):
        LocalTextSettings(**files, word_list_rate=0.95)


def test_settings_of_the_intervention_reach_seqio():
    tasks.toy_world.register(link=LinkSettings(ratio=0.0))
    task = seqio.TaskRegistry.get("toy_world_english")
    plain = [document.text for document in seqio_side.documents(task, "train")]
    dataset = task.get_dataset({"targets": 1024}, split="train", shuffle=False)
    decode = functools.partial(seqio.ByteVocabulary().decode)
    assert [decode(example["targets"].tolist()) for example in dataset.as_numpy_iterator()] == plain


def test_swaps_are_the_same_from_several_threads():
    import concurrent.futures

    task = seqio.TaskRegistry.get("toy_world_english")
    decode = seqio.ByteVocabulary().decode

    def texts():
        dataset = task.get_dataset({"targets": 1024}, split="train", shuffle=False)
        return [decode(example["targets"].tolist()) for example in dataset.as_numpy_iterator()]

    alone = texts()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(found == alone for found in pool.map(lambda _: texts(), range(4)))
