"""Many runs at once: every combination once, whatever was done before."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import single_run, trainer
from benchmarks import sweep as sweep_module
from benchmarks.plan import Plan
from benchmarks.run import main, settings_from
from benchmarks.settings import BenchmarkSettings
from ssl_aug.files import read_json
from ssl_aug.interrupts import raised_in_main
from ssl_aug.lock import LOCK, InOtherHandsError
from ssl_aug.results.result import RunResult
from tests.benchmarks.conftest import assert_same_weights, read_log
from tests.conftest import interrupt_as_an_error, leave_lock, stop_after


def test_multirun_trains_every_combination(words: list[str], tmp_path: Path) -> None:
    main(["--multirun", *words, "train.steps=1", "method=erm,fixmatch", "seed=0,1"])
    results = [read_json(path) for path in sorted((tmp_path / "runs").glob("*/result.json"))]
    assert [(r["method"], r["seed"]) for r in results] == [("erm", 0), ("erm", 1), ("fixmatch", 0), ("fixmatch", 1)]
    with pytest.raises(ValueError, match=r"train\.steps=0: give 1 or more"):
        main(["--multirun", *words, "train.steps=1,0"])
    assert len(list((tmp_path / "runs").iterdir())) == 4  # refused before the first one started


def test_a_grid_leaves_what_is_done_and_goes_on_with_what_was_stopped(
    words: list[str],
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = shutil.copytree(pictures, tmp_path / "pictures")
    grid = ["--multirun", *words, f"data.root={data}", "method=erm,fixmatch"]
    with stop_after(2, trainer):
        main([*grid, "method=fixmatch"])
    main(grid)
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert folders == ["0001-fixmatch", "0002-erm"]  # the stopped one went on where it was
    assert {read_json(tmp_path / "runs" / name / "result.json")["status"] for name in folders} == {"done"}
    before = [(tmp_path / "runs" / name / "result.json").stat().st_mtime_ns for name in folders]
    capsys.readouterr()
    of_generating = ["condition=borrowed", "class_means=labeled", "mask_rate=0.3", "tune.steps=7", "data.subset=9"]
    main([*grid, "train.num_workers=0", *of_generating])  # nothing to runs without synthetic images
    assert capsys.readouterr().out.count("this run is done already") == 2
    assert before == [(tmp_path / "runs" / name / "result.json").stat().st_mtime_ns for name in folders]
    main([*grid, "train.learning_rate=0.02"])  # another experiment: runs of its own
    assert len(list((tmp_path / "runs").iterdir())) == 4
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "notes" / "result.json").write_text("[]")  # somebody else's
    first = next(iter(sorted((data / "test").rglob("*.png"))))
    Image.new("RGB", (33, 33)).save(first)  # another test set, of as many images and the same names
    main(grid)
    assert len(list((tmp_path / "runs").glob("0*"))) == 6


def kill(folder: Path) -> None:
    """Leaves a stopped run's folder as one whose process was killed."""
    dataclasses.replace(RunResult.read(folder / "result.json"), status="running").write(folder)
    leave_lock(folder, "training in", is_alive=False)


def test_a_grid_goes_on_with_killed_runs_from_what_was_saved(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, runs = ["--multirun", *words, "method=erm,fixmatch"], tmp_path / "runs"
    main([*words, "method=fixmatch", f"runs={tmp_path / 'whole'}"])
    for method in ("fixmatch", "erm"):
        with stop_after(3, trainer):
            main([*words, f"method={method}"])
        kill(runs / f"000{1 + (method == 'erm')}-{method}")
    for name in ("last.safetensors", "last.json"):
        (runs / "0002-erm" / name).unlink()  # it was killed before anything was saved
    (runs / "0001-fixmatch" / ".last.safetensors.0123456789abcdef.part").touch()
    capsys.readouterr()
    main([*grid, "--dry-run"])
    said = capsys.readouterr().out
    assert f"would begin again in {runs / '0002-erm'}" in said and f"would go on in {runs / '0001-fixmatch'}" in said
    main(grid)
    said, told = capsys.readouterr()
    assert f"{runs / '0001-fixmatch'}: goes on from step 3" in said
    assert f"{runs / '0002-erm'}: was stopped before anything was saved, begins again" in said
    assert told.count("which is gone") == 2
    assert sorted(path.name for path in runs.iterdir()) == ["0001-fixmatch", "0002-erm"]
    assert {read_json(path)["status"] for path in runs.glob("*/result.json")} == {"done"}
    assert not list(runs.rglob(".*"))
    assert_same_weights(runs / "0001-fixmatch", tmp_path / "whole" / "0001-fixmatch")
    assert [row["step"] for row in read_log(runs / "0002-erm")] == list("1234567")


def test_a_grid_leaves_runs_to_the_processes_that_are_at_them(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stop_after(3, trainer):
        main([*words, "method=fixmatch"])
    folder = tmp_path / "runs" / "0001-fixmatch"
    kill(folder)
    other = leave_lock(folder, "training in")
    before = (folder / "result.json").read_bytes()
    capsys.readouterr()
    main(["--multirun", *words, "method=erm,fixmatch", "--dry-run"])
    assert f"{folder}: another process may be at this run" in capsys.readouterr().out
    main(["--multirun", *words, "method=erm,fixmatch"])
    said, told = capsys.readouterr()
    assert f"skipped: {other} has been training in {folder} since" in told
    assert said.splitlines()[-1].startswith("1 of 2 runs are in other hands: the same command goes on")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["0001-fixmatch", "0002-erm"]
    assert (folder / "result.json").read_bytes() == before
    with pytest.raises(InOtherHandsError, match=f"{other} has been training in {folder}"):
        main([f"resume={folder}"])

    def run(settings: BenchmarkSettings, anew: bool) -> None:
        dataclasses.replace(RunResult.read(folder / "result.json"), status="done").write(folder)
        raise InOtherHandsError("it was done when the grid was", folder)

    monkeypatch.setattr(sweep_module, "run", run)
    main(["--multirun", *words, "method=fixmatch"])
    assert "in other hands" not in capsys.readouterr().out


def test_two_grids_at_once_do_each_run_once(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Path] = []
    together = threading.Barrier(2)

    def train(folder: Path, plan: Plan, training: object) -> None:
        trained.append(folder)
        time.sleep(0.01)
        dataclasses.replace(plan.result, status="done").write(folder)

    def grid() -> None:
        together.wait(20)
        for settings in wanted:
            try:
                single_run.run(settings, anew=False)
            except InOtherHandsError:
                continue

    monkeypatch.setattr(single_run, "build", lambda plan, begun: None)
    monkeypatch.setattr(single_run, "train_and_record", train)
    wanted = [settings_from([*words, f"seed={seed}"]) for seed in range(4)]
    threads = [threading.Thread(target=grid) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trained) == len(set(trained)) == 4
    found = [read_json(path) for path in (tmp_path / "runs").glob("*/result.json")]
    assert sorted(result["seed"] for result in found) == list(range(4))
    assert {result["status"] for result in found} == {"done"}


def test_a_run_that_cannot_begin_leaves_no_folder(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(plan: Plan, begun: object) -> None:
        raise ValueError("no such weights")

    monkeypatch.setattr(single_run, "build", build)
    for anew in (True, False):
        with pytest.raises(ValueError, match="no such weights"):
            single_run.run(settings_from(words), anew)
        assert list((tmp_path / "runs").iterdir()) == []


def test_a_failing_run_of_a_grid_is_counted_and_the_others_go_on(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"1 of 2 runs failed, the first with: loss 'supervised' is"):
        main(["--multirun", *words, "train.backbone_lr_factor=1", "train.learning_rate=1e30,0.01"])
    statuses = [read_json(path)["status"] for path in sorted((tmp_path / "runs").glob("*/result.json"))]
    assert statuses[0].startswith("failed") and statuses[1] == "done"
    assert not list((tmp_path / "runs").glob(".grid-*"))


def test_what_killed_grids_left_is_removed_at_once_or_a_day_later(tmp_path: Path) -> None:
    killed, new, at_work, gone = (tmp_path / f".grid-{name}" for name in ("killed", "new", "at_work", "gone"))
    for scratch in (killed, new, at_work):
        scratch.mkdir()
    (at_work / LOCK).touch()
    leave_lock(gone, "running a grid in", is_alive=False)
    for scratch in (killed, at_work):
        os.utime(scratch, (0, 0))
    sweep_module.remove_old_scratch(tmp_path)
    assert set(tmp_path.iterdir()) == {new, at_work}


@pytest.mark.parametrize("launcher", ["joblib", "submitit_slurm"])
def test_a_launcher_that_is_not_installed_is_named_with_its_extra(
    launcher: str, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sweep_module, "is_installed", lambda module: False)
    said = rf"hydra/launcher={launcher} needs a package that is not installed here: pip install '\.\[cluster\]'"
    with pytest.raises(ValueError, match=said):
        main(["--multirun", *words, "seed=0,1", f"hydra/launcher={launcher}"])
    assert not (tmp_path / "runs").exists()


def test_a_module_is_installed_or_not_also_where_the_package_around_it_is_missing() -> None:
    assert sweep_module.is_installed("benchmarks.sweep")
    assert not sweep_module.is_installed("benchmarks.nothing")
    assert not sweep_module.is_installed("no_such_package.launcher")


def test_the_workers_of_a_grid_that_is_stopped_are_stopped_too() -> None:
    """A signal to the grid does not reach them: they end, and what they train is saved as by a signal of their own."""
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    worker.start()
    begun = time.monotonic()
    sweep_module.stop_workers()
    assert not worker.is_alive() and time.monotonic() - begun < sweep_module.PATIENCE_WITH_WORKERS


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--config-dir", "--config-dir: there is no such option"),
        ("hydra.sweep.dir=there", "hydra.sweep.dir=there has no effect here"),
        ("hydra/launcher=moon", "hydra/launcher=moon: there is no such launcher; basic, joblib"),
        ("seed=0,a(", "seed=0,a\\(: this cannot be read"),
        ("+zzz=1", "\\+zzz=1: no setting is added"),
    ],
)
def test_a_grid_refuses_what_has_no_effect(word: str, said: str, words: list[str]) -> None:
    with pytest.raises(ValueError, match=said):
        main([*words, "--multirun", word])


def test_a_bug_in_one_run_does_not_stop_the_others(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(settings: BenchmarkSettings, anew: bool) -> None:
        raise KeyError(settings.seed) if settings.seed < 2 else MemoryError

    monkeypatch.setattr(sweep_module, "run", fails)
    with pytest.raises(ValueError, match=r"^3 of 3 runs failed, the first with: "):
        main([*words, "--multirun", "seed=0,1,2"])
    told = capsys.readouterr().err
    assert told.count("this is a bug of ssl_aug") == 2 and told.count("out of memory: lower train.batch_size") == 1
    assert "Traceback" not in told


def test_an_interrupt_that_a_library_makes_an_error_of_stops_the_grid(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep_module, "run", interrupt_as_an_error)
    with pytest.raises(KeyboardInterrupt), raised_in_main("interrupted"):
        main([*words, "--multirun", "seed=0,1,2"])
    assert "UntypedStorage" not in capsys.readouterr().err
