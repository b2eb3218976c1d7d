"""Training and tables from Python are the commands', with the data given."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import benchmarks
import ssl_aug
from benchmarks.run import main, settings_from
from benchmarks.run_folder import saved_settings
from ssl_aug.loading import Data
from ssl_aug.results.result import RunResult


@pytest.fixture
def data(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Eight labeled pictures; results go to a working folder of their own."""
    monkeypatch.chdir(tmp_path)
    return ssl_aug.load(pictures, labels_per_class=2)


def short(words: list[str], method: str) -> benchmarks.BenchmarkSettings:
    """The settings of a run that takes a second, but for its data and folder."""
    settings = settings_from([*words, f"method={method}"])
    return replace(settings, data=ssl_aug.DataSettings(), runs="runs")


def noise_on(data: Data) -> ssl_aug.SyntheticSet:
    settings = replace(ssl_aug.default_settings("noise"), per_sample=2, device="cpu", precision="fp32")
    return ssl_aug.generate(data, replace(settings, generator=ssl_aug.GeneratorSettings(name="noise", image_size=16)))


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in benchmarks.__all__:
        assert inspect.getdoc(getattr(benchmarks, name)), name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        benchmarks.trian  # noqa: B018


def test_a_run_from_python_is_the_commands(data: Data, words: list[str]) -> None:
    here = benchmarks.train("fixmatch", data, short(words, "fixmatch"))
    main([*(word for word in words if not word.startswith("runs=")), "method=fixmatch", "runs=there"])
    there = RunResult.read(Path("there/0001-fixmatch/result.json"))
    assert replace(here.result, seconds=None) == replace(there, seconds=None)
    folders = (here.folder, Path("there/0001-fixmatch"))
    texts = [(folder / "config.yaml").read_text() for folder in folders]
    assert texts[0].replace("runs: runs", "runs: there") == texts[1]
    weights = [load_file(folder / "last.safetensors") for folder in folders]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_synthetic_images_join_and_the_table_has_both_rows(data: Data, words: list[str]) -> None:
    augmented = data.with_synthetic(noise_on(data))
    told: list[tuple[int, int, str]] = []
    plain = benchmarks.train("erm", data, short(words, "erm"))
    both = benchmarks.train("erm", augmented, short(words, "erm"), progress=lambda *state: told.append(state))
    assert (plain.result.num_synthetic, both.result.num_synthetic) == (0, 16)
    steps = both.result.steps
    assert told[-1] == (steps, steps, both.folder.name)
    assert saved_settings(both.folder, []).per_sample == 2
    report = benchmarks.read_table("runs")
    assert [row.label for row in report.tables[0].rows][:2] == ["plain", "+ augmentation"]
    assert "| + augmentation |" in benchmarks.as_text(report)


def test_a_part_of_a_set_is_what_is_trained_on(data: Data, words: list[str]) -> None:
    synthetic = noise_on(data)
    few = replace(synthetic, rows=synthetic.rows[:5])
    run = benchmarks.train("erm", data.with_synthetic(few), short(words, "erm"))
    assert (run.result.num_synthetic, run.result.synthetic_set_id) == (5, few.id)


def test_the_same_training_is_not_done_twice(data: Data, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first = benchmarks.train("erm", data, short(words, "erm"))
    assert benchmarks.train("erm", data, short(words, "erm")) == first
    assert "this run is done already" in capsys.readouterr().out


def test_settings_without_a_method_take_the_methods_own(data: Data, words: list[str]) -> None:
    settings = short(words, "erm")
    bare = benchmarks.BenchmarkSettings(
        model=settings.model, train=settings.train, view=settings.view, device="cpu", precision="fp32", runs="runs"
    )
    assert benchmarks.train("fixmatch", data, bare).result.method == "fixmatch"


def test_what_does_not_fit_is_named(data: Data, words: list[str], pictures: Path) -> None:
    settings = short(words, "erm")
    for method, given, said in (
        ("fixmath", settings, "method=fixmath: there is no such method; choose one of erm"),
        ("fixmatch", settings, "the settings are of erm"),
        ("erm", replace(settings, augment=True), "the data have no synthetic images"),
        ("erm", replace(settings, resume="runs/0001-erm"), "settings.resume has no effect here"),
        ("erm", replace(settings, data=ssl_aug.DataSettings(name="digits")), "the data were loaded with"),
    ):
        with pytest.raises(ValueError, match=said):
            benchmarks.train(method, data, given)
    with pytest.raises(ValueError, match="metric=first: choose one of last"):
        benchmarks.read_table("runs", "first")
    with pytest.raises(ValueError, match="form=html: choose one of markdown"):
        benchmarks.as_text(benchmarks.Report((), ()), "html")
