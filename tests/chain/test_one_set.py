"""One finished set, many commands: its folder is all that they are told."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.run import main as benchmark
from ssl_aug.evaluate import main as evaluate
from ssl_aug.export.__main__ import main as export
from ssl_aug.export.live import load
from ssl_aug.files import read_json
from ssl_aug.generate import main as generate
from ssl_aug.import_set import main as import_set
from ssl_aug.report import main as report
from tests.conftest import write_image_folder

ROOT = "synthetic.root='../a set'"
SMALL = [
    "model=tiny", "model.bottleneck_width=16", "train.steps=2", "train.batch_size=4", "device=cpu", "precision=fp32",
]  # fmt: skip


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of two drawings of each of six photos; the working folder is another one from then on."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=8, test=4)
    words = ["data=image_folder", "data.root=photos", "data.labels_per_class=2", "data.split_seed=3"]
    generate([*words, "generator=noise", "--per-sample", "2", "--out", "a set", "device=cpu", "precision=fp32"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "a set"


def results() -> list[tuple[int, int, int]]:
    found = [read_json(path) for path in sorted(Path("outputs/runs").glob("*/result.json"))]
    return [(result["split_seed"], result["num_labeled"], result["num_synthetic"]) for result in found]


def test_one_line_trains_the_plain_and_the_augmented_row(drawn: Path) -> None:
    for augment in ("false", "true"):
        benchmark([*SMALL, ROOT, f"augment={augment}"])
    assert results() == [(3, 6, 0), (3, 6, 12)]
    ids = {read_json(path)["labeled_set_id"] for path in Path("outputs/runs").glob("*/result.json")}
    assert ids == {read_json(drawn / "generator.json")["labeled_set_id"]}
    benchmark(["--multirun", *SMALL, ROOT, "augment=false,true"])
    assert len(results()) == 2  # they are done: the grid's words say the same
    benchmark(["--multirun", *SMALL, ROOT, "augment=false,true", "seed=1"])
    assert results()[2:] == [(3, 6, 0), (3, 6, 12)]


def test_generating_ends_with_the_commands_that_use_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=8, test=4)
    data = ["data=image_folder", "data.root=photos", "data.labels_per_class=4"]
    words = [*data, "generator=noise", "experiment=none", "precision=fp32"]
    generate([*words, "--per-sample", "2", "--out", "it's a set", "--device", "cpu"])
    first, numbers, second, *lines = capsys.readouterr().out.splitlines()
    assert first == "24 images in it's a set" and numbers.startswith("of 24 drawings: ")
    assert second == "to look at them: it's a set/contact_sheet.png" and Path("it's a set/contact_sheet.png").is_file()
    commands = [shlex.split(line) for line in lines]
    assert [command[:3] for command in commands] == [
        ["python", "-m", module]
        for module in ("ssl_aug.report", "benchmarks.run", "benchmarks.run", "ssl_aug.evaluate", "ssl_aug.export")
    ]
    assert [command[-4:] for command in commands[1:3]] == [
        [f"augment={augment}", "experiment=none", "precision=fp32", "device=cpu"] for augment in ("false", "true")
    ]
    for run, command, more in zip(
        (report, benchmark, benchmark, evaluate, export), commands,
        ([], SMALL[:4], SMALL[:4], [], []), strict=True,
    ):  # fmt: skip
        run([*command[3:], *more])
    assert results() == [(0, 12, 0), (0, 12, 24)]
    assert Path("outputs/export/it's a set/labeled").is_dir()
    generate([*words, "--per-sample", "1", "device=cpu"])
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("python")] == [
        "ssl_aug.report", "benchmarks.run", "benchmarks.run", "ssl_aug.export",
    ]  # fmt: skip


def test_photos_without_test_images_are_told_what_can_be_done_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(write_image_folder(tmp_path / "photos", train=8, test=4) / "test")
    words = ["data=image_folder", "data.root=photos", "generator=noise", "generator.image_size=16", "precision=fp32"]
    generate([*words, "per_sample=2", "--out", "set"])
    *_, measure, export_, why, plain, augmented = capsys.readouterr().out.splitlines()
    assert "ssl_aug.evaluate" in measure and "ssl_aug.export" in export_ and "no test images" in why
    assert plain.endswith("augment=false model=resnet50 precision=fp32")
    assert augmented.endswith("augment=true model=resnet50 precision=fp32")


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (
            "outputs/sets",
            "synthetic.root=outputs/sets is no set, but holds some: name one, synthetic.root=outputs/sets/",
        ),
        (
            "outputs/sets/a/images",
            "synthetic.root=outputs/sets/a/images is within a set: did you mean synthetic.root=/",
        ),
    ],
)
@pytest.mark.parametrize("command", [benchmark, evaluate, export])
def test_a_folder_around_or_within_a_set_is_named(
    command: Callable[[list[str]], None], root: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for a set that is still to be drawn, of the default data."""
    monkeypatch.chdir(tmp_path)
    for name in "abcd":
        (tmp_path / "outputs/sets" / name / "images").mkdir(parents=True)
        for file in ("manifest.csv", "generator.json"):
            (tmp_path / "outputs/sets" / name / file).touch()
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        command([f"synthetic.root={root}", *(["--to", "folder", "--out", "x"] if command is export else [])])


def test_photos_that_changed_since_the_set_was_drawn_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = write_image_folder(tmp_path / "photos", train=3, test=2)
    words = ["data=image_folder", "data.root=photos", "generator=noise", "per_sample=1", "precision=fp32"]
    generate([*words, "--out", "set"])
    benchmark_words = ["synthetic.root=set", "augment=true", "model=tiny", "--dry-run"]
    old = min((photos / "train").glob("*/*"))
    shutil.copy(old, old.with_name("new.png"))
    with pytest.raises(ValueError, match=rf"\(1 new, such as {old.parent.name}/new.png of the class"):
        benchmark(benchmark_words)
    old.with_name("new.png").rename(old)
    moved = max((photos / "train").iterdir())
    for part in ("train", "test"):
        (photos / part / moved.name).rename(photos / part / "zebra")
    with pytest.raises(ValueError, match=r"\(3 new, such as zebra/.* of the class 'zebra'; 3 gone, such as"):
        benchmark(benchmark_words)
    (photos / "train" / "zebra").rename(moved)
    (photos / "test" / "zebra").rename(photos / "test" / moved.name)
    old.write_bytes(max(old.parent.iterdir()).read_bytes())
    with pytest.raises(ValueError, match=r"\(of the same names, so that contents or labels differ\)"):
        benchmark(benchmark_words)


def test_two_projects_with_the_same_settings_have_a_set_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=8, test=4)
    write_image_folder(tmp_path / "others", classes=("ape", "bee"), train=8, test=4)
    data = ["data=image_folder", "data.labels_per_class=4"]
    words = [*data, "generator=noise", "per_sample=1", "device=cpu", "precision=fp32"]
    for root in ("photos", "others"):
        generate([*words, f"data.root={root}"])
    one, two = sorted(Path("outputs/synthetic").iterdir(), key=lambda path: (path / "manifest.csv").stat().st_mtime_ns)
    assert read_json(one / "generator.json")["labeled_set_id"] in one.name
    capsys.readouterr()
    for root, count, folder in (("photos", 12, one), ("others", 8, two)):
        generate([*words, f"data.root={root}"])
        assert capsys.readouterr().out.startswith(f"{count} images in {folder}\n")
    assert len(load(*words, "data.root=photos").labeled) == 24


def test_a_set_that_is_not_there_names_finished_ones_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=8, test=4)
    words = ["data=image_folder", "data.root=photos", "generator=noise", "per_sample=1", "device=cpu", "precision=fp32"]
    folders = []
    for number, rate in enumerate((0.1, 0.2, 0.3)):
        generate([*words, f"mask_rate={rate}"])
        (folder,) = (path for path in Path("outputs/synthetic").iterdir() if path not in folders)
        os.utime(folder / "manifest.csv", (number, number))
        folders.append(folder)
    (folders[1] / "manifest.csv").unlink()
    with pytest.raises(FileNotFoundError, match=f"newest first: synthetic.root={folders[2]}, .*={folders[0]}$"):
        load(*words)


def test_a_dry_run_of_a_grid_foretells_what_is_done(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark([*SMALL, ROOT, "augment=true"])
    capsys.readouterr()
    benchmark(["--multirun", *SMALL, ROOT, "augment=false,true", "--dry-run"])
    said = capsys.readouterr().out
    assert "would train 2 steps in a new folder in outputs/runs" in said
    assert "outputs/runs/0001-erm-augment: this run is done already, nothing would be trained" in said
    benchmark(["resume=outputs/runs/0001-erm-augment", "--dry-run"])
    assert "would go on in outputs/runs/0001-erm-augment" in capsys.readouterr().out
    assert len(results()) == 1


def test_where_the_data_lie_is_no_part_of_what_a_row_is_compared_by(drawn: Path) -> None:
    benchmark([*SMALL, ROOT, "augment=true"])
    (path,) = Path("outputs/runs").glob("*/result.json")
    assert not [name for name in read_json(path)["settings"] if "root" in name or "places" in name]


def test_the_plain_row_is_of_the_sets_own_labeled_images(drawn: Path, tmp_path: Path) -> None:
    write_image_folder(tmp_path / "other", classes=("ape", "bee", "cow"), train=8)
    for augment in ("false", "true"):
        with pytest.raises(ValueError, match="was drawn from labeled set"):
            benchmark([*SMALL, ROOT, f"augment={augment}", f"data.root={tmp_path / 'other'}"])


def test_a_drawing_that_was_thrown_out_is_in_no_row_and_no_export(drawn: Path) -> None:
    victims = sorted((drawn / "images").rglob("*.png"))[:2]
    victims[0].unlink()
    (drawn / "rejected.txt").write_text(f"{victims[1].relative_to(drawn)}  # blurred\n")
    benchmark([*SMALL, ROOT, "augment=true"])
    assert results() == [(3, 6, 10)]
    export(["--to", "lists", "--out", "lists", ROOT, "--check"])
    assert len(Path("lists/labeled.txt").read_text().splitlines()) == 16
    assert len(load(ROOT).labeled) == 16


def test_an_evaluation_takes_the_set_as_it_is(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next((drawn / "images").rglob("*.png")).unlink()
    words = [ROOT, "device=cpu", "precision=fp32"]
    evaluate([*words, "--dry-run"])
    assert f"would measure 11 images in {Path('../a set')}" in capsys.readouterr().out
    evaluate([*words, "out=figures"])
    _, row = read_json(Path("figures/evaluation.json"))["rows"]
    assert row["num_images"] == 11
    assert len(list((drawn / "images").rglob("*.png"))) == 11  # nothing was drawn
    next((drawn / "images").rglob("*.png")).unlink()
    with pytest.raises(FileExistsError, match="when it had other images: name another folder with out="):
        evaluate([*words, "out=figures"])
    with pytest.raises(ValueError, match=r"asked for is generator=embedded"):
        evaluate([*words, "generator=embedded"])


def test_an_imported_set_names_its_data_too(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["data=image_folder", "data.root=../photos", "data.labels_per_class=2", "data.split_seed=3"]
    import_set(["../a set/images", "--out", "taken in", "--made-by", "noise", *data])
    assert "benchmarks.run augment=true synthetic.root='taken in' takes them" in capsys.readouterr().out
    benchmark([*SMALL, "synthetic.root='taken in'", "augment=true"])
    assert results() == [(3, 6, 12)]
    evaluate(["synthetic.root='taken in'", "device=cpu", "precision=fp32"])
    (folder,) = Path("outputs/evaluation").iterdir()
    assert read_json(folder / "evaluation.json")["rows"][1]["num_images"] == 12
