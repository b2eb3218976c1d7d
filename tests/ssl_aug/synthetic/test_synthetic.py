"""The set on disk: requests, chunks, resume, and what is refused."""

import csv
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchvision.datasets import ImageFolder

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.data.layout import class_folder
from ssl_aug.files import read_json, write_json
from ssl_aug.lock import locked
from ssl_aug.runtime import cache_folder
from ssl_aug.settings import Settings, SyntheticSettings
from ssl_aug.synthetic import (
    Request,
    SetWriter,
    SyntheticSet,
    make_chunks,
    make_requests,
    open_for,
    read_rows,
    write_manifest,
)
from ssl_aug.synthetic import writer as writer_module
from tests.conftest import contents, in_other_hands

FACTS = {"mask_rate": "0.5", "mask_box": "0 0 1 1", "sampler": "ddim", "steps": "20", "guidance": "1.0"}


def labeled_set(num_classes: int = 3, per_class: int = 4) -> LabeledSet:
    """Images that are known by their place in the cache, so that there need be no files."""
    root = cache_folder() / "toycars-0" / "train"
    examples = [
        Example(root / f"c{label}/{index}.jpg", label) for label in range(num_classes) for index in range(per_class)
    ]
    return LabeledSet(tuple(examples), tuple(f"c{label}" for label in range(num_classes)))


def fake_png(request) -> bytes:
    return f"{request.source.key} {request.k} {request.seed}".encode()


def write_all(
    folder: Path, labeled: LabeledSet, per_sample: int, size: int = 5, stop_after: int = 10**6, refill: bool = False
) -> None:
    """Draws what is missing, as the generate command does."""
    writer = SetWriter(folder, {"seed": 0}, labeled, refill)
    requests = make_requests(labeled, per_sample, seed=0)
    done = writer.done()
    todo = [chunk for chunk in make_chunks(requests, size) if any(request.path not in done for request in chunk)]
    for chunk in todo[:stop_after]:
        writer.write(chunk, [fake_png(request) for request in chunk], [FACTS] * len(chunk))
    if stop_after >= len(todo):
        writer.finish(requests, "card", {})


# ----------------------------------------------------------------------------------------------------------------------
# requests


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 40))
def test_fewer_per_sample_are_a_prefix_of_more_chunk_by_chunk(few: int, more: int, size: int) -> None:
    few, more = sorted((few, more))
    short = make_chunks(make_requests(labeled_set(), few, 0), size)
    long = make_chunks(make_requests(labeled_set(), more, 0), size)
    assert long[: len(short)] == short
    assert [request for chunk in long for request in chunk] == make_requests(labeled_set(), more, 0)
    assert max(map(len, long)) <= size


def test_a_seed_comes_from_run_seed_source_and_k_alone() -> None:
    whole = {request.path: request for request in make_requests(labeled_set(), 3, seed=1)}
    part = make_requests(LabeledSet(labeled_set().examples[5:6], labeled_set().class_names), 3, seed=1)
    assert all(whole[request.path].seed == request.seed for request in part)
    assert len({request.seed for request in whole.values()}) == len(whole)
    assert {r.seed for r in make_requests(labeled_set(), 3, seed=2)}.isdisjoint(r.seed for r in whole.values())


def test_sources_that_share_a_stem_get_names_of_their_own() -> None:
    examples = (
        Example(Path("a/1.jpg"), 0),
        Example(Path("b/1.jpg"), 0),
        Example(Path("a/1.png"), 0),
        Example(Path("c/1.jpg"), 1),
    )
    paths = [request.path for request in make_requests(LabeledSet(examples, ("x", "y")), 2, 0)]
    assert len(set(paths)) == len(paths) == 8
    assert "images/01_y/1_0.png" in paths


@pytest.mark.parametrize(
    ("name", "slug"), [("Audi TT / 2011", "audi-tt-2011"), ("Löwe", "lowe"), ("日本", "class"), ("..", "class")]
)
def test_class_folders_are_plain_ascii(name: str, slug: str) -> None:
    assert class_folder(7, ("",) * 7 + (name,) + ("",) * 190) == f"007_{slug}"


# ----------------------------------------------------------------------------------------------------------------------
# the folder


def test_a_finished_set_lists_every_image_with_its_label(tmp_path: Path) -> None:
    labeled = labeled_set()
    write_all(tmp_path / "set", labeled, per_sample=2)
    synthetic = SyntheticSet.open(tmp_path / "set")
    assert len(synthetic) == 24
    assert [row["k"] for row in synthetic.rows] == ["0"] * 12 + ["1"] * 12
    augmented = labeled.with_synthetic(synthetic)
    assert len(augmented) == 36
    assert augmented.examples[:12] == labeled.examples
    folder = ImageFolder(str(tmp_path / "set" / "images"), loader=str)
    assert sorted(folder.samples) == sorted((str(example.path), example.label) for example in synthetic.examples)


def test_a_longer_set_keeps_the_bytes_of_a_shorter_one(tmp_path: Path) -> None:
    write_all(tmp_path / "grown", labeled_set(), per_sample=4)
    before = contents(tmp_path / "grown" / "images")
    write_all(tmp_path / "grown", labeled_set(), per_sample=10)
    write_all(tmp_path / "plain", labeled_set(), per_sample=10)
    assert contents(tmp_path / "grown") == contents(tmp_path / "plain")
    assert before.items() <= contents(tmp_path / "grown" / "images").items()


def test_a_run_is_given_as_many_per_sample_as_it_asks_for(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), per_sample=3)
    settings = Settings(synthetic=SyntheticSettings(str(tmp_path / "set")), per_sample=2)
    some = open_for(labeled_set(), settings)
    assert [row["k"] for row in some.rows] == ["0"] * 12 + ["1"] * 12
    assert some.id != SyntheticSet.open(tmp_path / "set").id
    settings = dataclasses.replace(settings, per_sample=4)
    with pytest.raises(ValueError, match=r"holds 36 images, per_sample=4 .* asks for 48"):
        open_for(labeled_set(), settings)


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        ({"prompt": "a red car"}, "prompt='a red car'"),
        ({"condition": "none"}, "condition=none"),
        ({"tune": {"approach": "anl_unconditional"}}, "tune.approach=anl_unconditional"),
    ],
)
def test_a_set_whose_images_show_no_class_is_no_training_set(
    tmp_path: Path, identity: dict[str, Any], named: str
) -> None:
    write_all(tmp_path / "set", labeled_set(), per_sample=1)
    card = read_json(tmp_path / "set" / "generator.json")
    settings = Settings(synthetic=SyntheticSettings(str(tmp_path / "set")), per_sample=1)
    write_json(tmp_path / "set" / "generator.json", {**card, **identity})
    with pytest.raises(ValueError, match=re.escape(named)):
        open_for(labeled_set(), settings)
    # started from the labeled image, they show it
    write_json(tmp_path / "set" / "generator.json", {**card, **identity, "strength": 0.5})
    assert len(open_for(labeled_set(), settings)) == 12


def test_a_shorter_run_takes_nothing_away(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), per_sample=3)
    before = contents(tmp_path / "set")
    write_all(tmp_path / "set", labeled_set(), per_sample=1)
    assert contents(tmp_path / "set") == before


@pytest.mark.parametrize("stop_after", [0, 1, 3, 6])
def test_a_stopped_run_goes_on_to_the_same_folder(tmp_path: Path, stop_after: int) -> None:
    write_all(tmp_path / "stopped", labeled_set(), 3, stop_after=stop_after)
    with pytest.raises(FileNotFoundError, match="not finished"):
        SyntheticSet.open(tmp_path / "stopped")
    write_all(tmp_path / "stopped", labeled_set(), 3)
    write_all(tmp_path / "plain", labeled_set(), 3)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "plain")


def test_a_chunk_that_was_half_written_is_drawn_again_whole(tmp_path: Path) -> None:
    labeled = labeled_set()
    write_all(tmp_path / "set", labeled, 2, stop_after=1)
    second = make_chunks(make_requests(labeled, 2, 0), 5)[1]
    torn = tmp_path / "set" / second[0].path  # killed after the first image, before the rows
    torn.parent.mkdir(parents=True, exist_ok=True)
    torn.write_bytes(b"torn")
    torn.with_name(".x.png.123.part").write_bytes(b"half")
    assert second[0].path not in SetWriter(tmp_path / "set", {"seed": 0}, labeled).done()
    write_all(tmp_path / "set", labeled, 2)
    write_all(tmp_path / "plain", labeled, 2)
    assert contents(tmp_path / "set") == contents(tmp_path / "plain")


def test_shards_together_make_the_set_of_one_process(tmp_path: Path) -> None:
    labeled = labeled_set()
    requests = make_requests(labeled, 3, 0)
    chunks = make_chunks(requests, 5)
    finished = []
    for rank in range(3):
        writer = SetWriter(tmp_path / "sharded", {"seed": 0}, labeled)
        for chunk in chunks[rank::3]:
            writer.write(chunk, [fake_png(request) for request in chunk], [FACTS] * len(chunk))
        finished.append(writer.finish(requests, "card", {}))
    write_all(tmp_path / "plain", labeled, 3)
    assert [synthetic is not None for synthetic in finished] == [False, False, True]
    assert contents(tmp_path / "sharded") == contents(tmp_path / "plain")


def test_a_shard_that_is_done_first_leaves_what_others_write_and_the_last_one_cleans_up(tmp_path: Path) -> None:
    folder, labeled = tmp_path / "set", labeled_set()
    writers = [SetWriter(folder, {"seed": 0}, labeled) for _ in range(2)]
    few, many = (make_requests(labeled, per_sample, 0) for per_sample in (1, 2))

    def draw(writer: SetWriter, requests: list[Request]) -> None:
        for chunk in make_chunks(requests, 6):
            writer.write(chunk, [fake_png(request) for request in chunk], [FACTS] * len(chunk))

    draw(writers[0], few)
    half = (folder / many[12].path).with_name(".x.png.0123456789abcdef.part")
    read = written_meanwhile = None
    with pytest.MonkeyPatch.context() as patch:

        def write_and_draw(path: Path, rows: list) -> None:
            nonlocal written_meanwhile
            write_manifest(path, rows)
            if path.name == "manifest.csv" and written_meanwhile is None:  # the lists were read
                written_meanwhile = True
                draw(writers[1], many[12:])
                half.touch()

        patch.setattr(writer_module, "write_manifest", write_and_draw)
        with locked(folder, "drawing into", part="0-of-2"), in_other_hands(folder, "1-of-2"):
            read = writers[0].finish(few, "card", {})
    assert read is not None and half.exists()
    assert len(list((folder / ".work").glob("*.csv"))) == 2
    assert SetWriter(folder, {"seed": 0}, labeled).done() == {request.path for request in many}
    finished = writers[1].finish(many, "card", {})
    assert finished is not None and len(finished) == 24
    write_all(tmp_path / "plain", labeled, 2)
    assert contents(folder) == contents(tmp_path / "plain")
    assert not list(folder.glob(".*"))


def test_lists_that_another_shard_merges_meanwhile_are_read_from_its_manifest(tmp_path: Path) -> None:
    folder, labeled = tmp_path / "set", labeled_set()
    write_all(folder, labeled, 2, stop_after=2)
    reader, requests = SetWriter(folder, {"seed": 0}, labeled), make_requests(labeled, 2, 0)
    before = reader.done()

    def merged_first(path: Path) -> list[dict[str, str]]:
        if path.suffix == ".csv" and path.parent.name == ".work":
            patch.undo()
            write_all(folder, labeled, 2)
        return read_rows(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "read_rows", merged_first)
        assert reader.done() == {request.path for request in requests} > before


# ----------------------------------------------------------------------------------------------------------------------
# what is refused


def test_a_folder_of_another_split_is_refused_untouched(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), 1)
    before = contents(tmp_path / "set")
    with pytest.raises(FileExistsError, match=r"drawn from labeled set .* name another folder with synthetic.root"):
        SetWriter(tmp_path / "set", {"seed": 0}, labeled_set(per_class=3))
    assert contents(tmp_path / "set") == before


def test_a_folder_of_other_settings_is_refused_and_the_setting_named(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), 1)
    with pytest.raises(FileExistsError, match="seed=0, asked for is seed=7"):
        SetWriter(tmp_path / "set", {"seed": 7}, labeled_set())


def test_a_run_that_failed_before_its_first_image_binds_nobody(tmp_path: Path) -> None:
    first = SetWriter(tmp_path / "set", {"seed": 7}, labeled_set())
    write_all(tmp_path / "set", labeled_set(), 1)
    write_all(tmp_path / "plain", labeled_set(), 1)
    assert contents(tmp_path / "set") == contents(tmp_path / "plain")
    chunk = make_requests(labeled_set(), 1, 7)[:1]
    with pytest.raises(FileExistsError, match="seed=0, asked for is seed=7"):  # had it only been slow
        first.write(chunk, [b"png"], [{}])
    assert contents(tmp_path / "set") == contents(tmp_path / "plain")


def test_a_folder_with_other_files_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="other files"):
        SetWriter(tmp_path, {"seed": 0}, labeled_set())
    assert contents(tmp_path) == {"holiday.jpg": b"mine"}


def test_another_split_cannot_be_augmented_with_it(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), 1)
    other = LabeledSet(labeled_set(per_class=5).examples, labeled_set().class_names)
    with pytest.raises(ValueError, match=r"was drawn from labeled set .* synthetic\.root"):
        other.with_synthetic(SyntheticSet.open(tmp_path / "set"))


def test_class_names_with_commas_quotes_and_newlines_survive_the_manifest(tmp_path: Path) -> None:
    names = ('a,"b"\nc', "d; e", "日本 🚗")
    write_all(tmp_path / "set", LabeledSet(labeled_set().examples, names), 1)
    rows = read_rows(tmp_path / "set" / "manifest.csv")
    assert [row["class_name"] for row in rows[::4]] == list(names)
    with (tmp_path / "set" / "manifest.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 13


def test_long_names_are_shortened_before_any_work(tmp_path: Path) -> None:
    root = cache_folder() / "toycars-0"
    for letter in ("a", "é", "猫", "🐈"):
        longest = letter * (250 // len(letter.encode()))
        examples = tuple(Example(root / f"{folder}/{longest}.jpg", 0) for folder in (longest, "b"))
        requests = make_requests(LabeledSet(examples, (longest, "c")), 2, 0)
        names = [Path(request.path).name for request in requests]
        assert len(set(names)) == 4
        assert max(len(f".{name}.1234567.part".encode()) for name in names) <= 255
    usual = LabeledSet((Example(root / f"c/{'a' * 180}.jpg", 0),), ("c", "d"))
    assert Path(make_requests(usual, 1, 0)[0].path).name == f"{'a' * 180}_0.png", "the names of before stay"


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", "a;b", " a ", "\u2028", "\x85x"])
def test_any_class_name_reads_back(tmp_path: Path, name: str) -> None:
    labeled = LabeledSet(labeled_set(num_classes=2).examples, (name, "c1"))
    write_all(tmp_path / "set", labeled, 1)
    rows = SyntheticSet.open(tmp_path / "set").rows
    assert {row["class_name"] for row in rows} == {name, "c1"}
    assert len(labeled.with_synthetic(SyntheticSet.open(tmp_path / "set"))) == 16
