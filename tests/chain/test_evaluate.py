"""The evaluation command on a small dataset and the model-free control."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from ssl_aug import evaluate as evaluate_module
from ssl_aug.evaluation.settings import EvaluateSettings, name_of, variants
from ssl_aug.files import read_json
from ssl_aug.tuning.settings import TuneSettings
from tests.conftest import write_image_folder


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=8, test=4)
    return [
        "data=image_folder", "data.root=photos", "generator=noise", "per_sample=2", "judge_steps=2", "device=cpu",
        "precision=fp32",
    ]  # fmt: skip


def test_a_set_is_drawn_measured_and_written_down(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_module.main([*words, "out=figures"])
    said = capsys.readouterr().out
    assert "real test images" in said
    assert "features of the embedded backbone" in said
    with (tmp_path / "figures" / "evaluation.csv").open() as file:
        real, drawn = list(csv.DictReader(file))
    assert (real["set"], drawn["set"], drawn["num_images"]) == ("real test images", "synthetic", "48")
    # the control is the reference with a little noise: two of one reference are alike
    assert 0 <= float(drawn["class_share"]) <= 1
    assert float(drawn["frechet_distance"]) > 0
    assert 0 < float(drawn["diversity"]) < 0.2
    assert read_json(tmp_path / "figures" / "evaluation.json")["settings"]["per_sample"] == 2


def test_the_judge_is_trained_once_and_its_figures_are_the_same_again(words: list[str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate_module.main([*words, f"out={name}"])
    assert (tmp_path / "a" / "evaluation.csv").read_text() == (tmp_path / "b" / "evaluation.csv").read_text()


def test_a_sweep_is_every_combination_of_its_values() -> None:
    settings = EvaluateSettings(sweep="approach+tune_steps", approaches=["anl", "all"], tune_steps=[5, 7])
    found = list(variants(settings))
    assert [(one.tune.approach, one.tune.steps) for one in found] == [("anl", 5), ("anl", 7), ("all", 5), ("all", 7)]
    assert name_of(found[-1], settings.swept) == "all, 7 steps"
    small = EvaluateSettings(
        tune=TuneSettings("anl_lora", rank=4), sweep="approach", approaches=["anl", "anl_lora", "scratch"]
    )
    assert [one.tune.rank for one in variants(small)] == [None, 4, None]
    assert [one.tune.rank for one in variants(replace(small, tune=TuneSettings()))] == [None, 16, None]
    (alone,) = variants(EvaluateSettings())
    assert name_of(alone, ()) == "synthetic"
    assert [one.mask_rate for one in variants(EvaluateSettings(sweep="mask_rate"))] == [0.0, 0.3, 0.5, 0.7]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sweep=seeds", "choose of mask_rate, approach, tune_steps"),
        ("features=pixels", "choose one of backbone, clip"),
        ("judge_steps=0", "judge_steps=0: give 1 or more"),
        ("per_sample=1", "needs 2 or more"),
        ("mask_rates=[1.5] sweep=mask_rate", r"mask_rates=\[1.5\]: give 0"),
        ("sweep=mask_rate synthetic.root=x", "leave synthetic.root out"),
    ],
)
def test_settings_that_do_not_fit_are_named(words: list[str], word: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate_module.main([*words, *word.split()])
