"""How the words of a command line are understood."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmarks.run import settings_from
from ssl_aug.command_line import compose
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.settings import Settings
from ssl_aug.words import overrides_of, settled

FLAGS = {"--per-sample": "per_sample", "--out": "synthetic.root"}


@pytest.mark.parametrize(
    "value",
    [
        "a red car, side view",
        "it's a car: red (left)",
        "x = {y}",
        "[1,2]",
        "1e3",
        "true",
        "a\\b",
        "50% off",
        "+1",
        "ends\\",
    ],
)
def test_texts_are_taken_as_they_are_written(value: str) -> None:
    assert compose("generate", [f"prompt={value}"], Settings).prompt == value
    assert compose("generate", [f"data.root={value}"], Settings).data.root == value
    assert compose("generate", overrides_of(["--out", value], FLAGS, {}), Settings).synthetic.root == value


def test_hydras_own_quotes_and_null_mean_what_they_mean_to_hydra() -> None:
    assert compose("generate", ["prompt='a red car, side view'"], Settings).prompt == "a red car, side view"
    assert compose("generate", ["prompt=null"], Settings).prompt is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--per_sample", "3"], "--per_sample: there is no such flag; did you mean --per-sample?"),
        (["--persample=3"], "--persample=3: there is no such flag; did you mean --per-sample?"),
        (["--data.root", "P"], "--data.root: there is no such flag; settings are written without dashes, data.root=P"),
        (["--data.root=P"], "settings are written without dashes, data.root=P"),
        (["--sampler"], "there is no such flag; --per-sample, --out or name=value"),
        (["data.root", "=", "P"], "data.root: settings are written without spaces, data.root=P"),
        (["data.root=", "P"], "P: settings are written without spaces, data.root=P"),
        (["data.root", "=P"], "data.root: settings are written without spaces, data.root=P"),
        (["seed=1", "data.root"], "data.root: settings are written without spaces, data.root=VALUE"),
    ],
)
def test_slips_are_told_what_was_meant(words: list[str], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        compose("generate", overrides_of(words, FLAGS, {}), Settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--data.root", "P"],
            "--data.root: there is no such option; settings are written without dashes, data.root=P",
        ),
        (["method", "=", "erm"], "method: settings are written without spaces, method=erm"),
    ],
)
def test_the_benchmark_tells_the_same(words: list[str], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        settings_from(words)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("+zzz=1", "+zzz=1: no setting is added to those that there are; to set one, zzz=1"),
        ("++tune.steps=1", "to set one, tune.steps=1"),
        ("+data._target_=os.system", "no setting is added"),
        ("data._target_=os.system", "data._target_: there is no such setting"),
        ("~tune.rank", "~tune.rank: no setting is taken away; tune.rank=null"),
        ("hydra.run.dir=there", "hydra.run.dir=there has no effect here"),
        ("hydra/launcher=joblib", "hydra/launcher=joblib has no effect here"),
        ("recipe=paper", "recipe: there is no such setting"),
        ("data/more=3", "data/more: there is no such setting"),
        ("data@there=digits", "data@there: there is no such setting"),
        ("data={name: digits}", "there is no such data; choose one of"),
        ("data=", "data='': there is no such data; choose one of"),
        ("seed=1,2", "seed=1,2: give one value"),
        ("steps=a(b", "steps=a(b: this cannot be read"),
        ("steps=x", "steps=x: give a whole number (or null)"),
        ("shard=pbs", "shard=pbs: choose one of slurm, or null"),
    ],
)
def test_what_hydra_would_take_without_effect_is_refused(word: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        compose("generate", [word], Settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["model.arguments.drop_rate=0.5", "+model.arguments.drop_rate=0.5"])
def test_arguments_of_a_model_may_be_named(word: str) -> None:
    settings = settings_from(["model.name=resnet18", word, "model.arguments.depth=3"])
    assert settings.model.arguments == {"drop_rate": 0.5, "depth": 3}
    assert settings_from(["model.name=resnet18", "model.arguments={a: 1}"]).model.arguments == {"a": 1}


def test_in_a_grid_a_comma_stands_between_texts_that_are_not_in_quotes() -> None:
    words = settled(["data.root=/a=1,/b(", "prompt='x, y',z", "seed=0,1"], Settings, of_grid=True)
    assert words == ["data.root='/a=1','/b('", "prompt='x, y','z'", "seed=0,1"]
    assert settled(words, Settings, of_grid=True) == words
    assert settled(["hydra.launcher.n_jobs=2"], Settings, of_grid=True) == ["hydra.launcher.n_jobs=2"]
    with pytest.raises(ValueError, match=r"hydra\.launcher\._target_=x has no effect"):
        settled(["hydra.launcher._target_=x"], Settings, of_grid=True)


def test_only_drawing_is_shared_by_a_slurm_array() -> None:
    assert compose("generate", ["shard=slurm"], Settings).shard == "slurm"
    for asked in (
        lambda: compose("evaluate", ["shard=slurm"], EvaluateSettings),
        lambda: settings_from(["shard=slurm"]),
    ):
        with pytest.raises(ValueError, match="shard=slurm has no effect here: only generate shares its work"):
            asked()


def test_a_resumed_run_takes_paths_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "year=2019"
    folder.mkdir()
    OmegaConf.save(OmegaConf.create({"method": {"name": "erm"}, "seed": 3}), folder / "config.yaml")
    settings = settings_from(["resume=~/year=2019", "data.root=1e3", "train.num_workers=2"])
    assert (settings.seed, settings.data.root, settings.train.num_workers) == (3, "1e3", 2)
    assert settings.resume == str(folder)
