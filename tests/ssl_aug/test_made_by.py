"""The command in an output folder asks for the very settings that made it."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest

from benchmarks.run import settings_from
from benchmarks.settings import BenchmarkSettings
from benchmarks.single_run import command_of_run
from ssl_aug.command_line import compose
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.made_by import COMMAND, command_of, write_command
from ssl_aug.pretrain.settings import PretrainSettings
from ssl_aug.settings import Settings

OF_PHOTOS = ["data=image_folder", "data.root=my photos/a,b=c", "generator=ldm", "generator.checkpoint=it's.ckpt"]


def words_in(line: str | None, module: str) -> list[str]:
    """The words behind `python -m module`, as a shell would hand them over."""
    first = ["python", "-m", module]
    words = shlex.split(line or "")
    assert words[:3] == first
    return words[3:]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["experiment=demo", "precision=fp32"],
        ["experiment=paper", "data.root=/data/cars", "generator.checkpoint=model.ckpt", "per_sample=3"],
        [*OF_PHOTOS[:3], "generator.checkpoint=w", "prompt=a photo, of 'null'", "tune.base_learning_rate=1e-05"],
        [*OF_PHOTOS, "condition=image", "mask_rate=0", "seed=12345678901234567890"],
        ["data=digits", "data.labels_per_class=2", "generator=noise", "condition=image"],
        ["guidance=null", "prompt=null", "data.subset=25"],
    ],
)
def test_its_words_give_the_settings_of_a_drawing_back(words: list[str]) -> None:
    settings = compose("generate", words, Settings)
    line = command_of("ssl_aug.generate", "generate", settings, Settings)
    assert compose("generate", words_in(line, "ssl_aug.generate"), Settings) == settings


@pytest.mark.parametrize(
    "words",
    [
        ["method=erm"],
        ["method=fixmatch", "experiment=demo", "augment=true", "synthetic.root=a set", "mix.synthetic_share=0.5"],
        ["method=flexmatch", "protocol=paper", "method.threshold=0.9", "train.steps=7"],
        ["experiment=paper", "method=self_tuning", "data.root=cars", "model=resnet50", "view.randaugment=rand-m5-n1"],
        ["model.name=resnet18", "model.arguments.drop_rate=0.1", "model.mean=[0.1,0.2,0.3]", "device=cpu"],
    ],
)
def test_its_words_give_the_settings_of_a_training_back(words: list[str]) -> None:
    settings = settings_from(words)
    name = next((word.removeprefix("method=") for word in words if word.startswith("method=")), "erm")
    again = settings_from(words_in(command_of_run(settings, name), "benchmarks.run"))
    kept = {field.name for field in fields(BenchmarkSettings)}
    if not settings.augment:  # how images are drawn does not matter then
        kept -= {field.name for field in fields(Settings)} - {"data", "seed", "device", "precision"}
    assert kept > {"data", "method", "train", "view", "model"}
    assert [name for name in kept if getattr(again, name) != getattr(settings, name)] == []


def test_its_words_give_an_evaluation_and_a_pretraining_back() -> None:
    measured = compose("evaluate", ["sweep=mask_rate", "mask_rates=[0.0,0.25]", "features=clip"], EvaluateSettings)
    line = command_of("ssl_aug.evaluate", "evaluate", measured, EvaluateSettings)
    assert compose("evaluate", words_in(line, "ssl_aug.evaluate"), EvaluateSettings) == measured
    trained = compose("pretrain", ["stages=unet+decoder", "unet_steps=3", "out=new weights"], PretrainSettings)
    line = command_of("ssl_aug.pretrain", "pretrain", trained, PretrainSettings)
    assert compose("pretrain", words_in(line, "ssl_aug.pretrain"), PretrainSettings) == trained


def test_it_says_nothing_of_where_results_lie_or_how_it_was_run() -> None:
    plain = compose("generate", ["data=digits"], Settings)
    moved = replace(plain, dry_run=True, shard="slurm", tune=replace(plain.tune, root="elsewhere"))
    assert command_of("ssl_aug.generate", "generate", moved, Settings) == (
        "python -m ssl_aug.generate data=digits generator=embedded"
    )


def test_for_what_is_published_no_folder_of_the_machine_is_said() -> None:
    settings = compose("generate", ["data=image_folder", "data.root=/home/me/photos", "generator=noise"], Settings)
    line = command_of("ssl_aug.export", "generate", settings, Settings, by_last_name=True)
    assert line is not None and "data.root=photos" in line and "/home" not in line


def test_images_that_were_given_in_python_are_named_by_no_command(tmp_path: Path) -> None:
    plain = compose("generate", ["data=digits"], Settings)
    given = replace(plain, data=replace(plain.data, name="images-0123abcd"))
    line = command_of("ssl_aug.generate", "generate", given, Settings)
    write_command(tmp_path, line)
    assert line is None and list(tmp_path.iterdir()) == []


def test_a_command_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for line in ("first", "second"):
        write_command(tmp_path, line)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {COMMAND: "second\n"}
