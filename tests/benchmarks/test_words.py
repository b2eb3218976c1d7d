"""The words of the command line: what is refused, what is explained, what is only printed."""

from __future__ import annotations

import dataclasses
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmarks import run
from benchmarks.help import help_text
from benchmarks.method_files import facts_in_file, paper_values
from benchmarks.methods import METHODS, facts_of
from benchmarks.run import main, settings_from
from benchmarks.settings import BenchmarkSettings
from ssl_aug.runtime import command


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("method=erx", "method=erx: there is no such method; choose one of adamatch, clip_means, clip_probe"),
        ("batch_size=8", "batch_size=8: that is the generator's and has no effect here, use train.batch_size=8"),
        ("steps=8", "use train.steps=8"),
        ("train.stepz=3", "train.stepz: there is no such setting, did you mean train.steps"),
        ("train.steps=0", "train.steps=0: give 1 or more"),
        ("train.batch_size=1", "train.batch_size=1: give 2 or more"),
        ("mix.weight_by=sha256", "mix.weight_by=sha256: choose one of source_score, class_score, or null"),
        ("mix.keep_share=0", "mix.keep_share=0.0: give above 0 to 1, or null"),
        ("train.ema_decay=1", "train.ema_decay=1.0: give 0 to below 1"),
        ("train.schedule=step", "choose one of exp, cosine, multistep, constant"),
        ("train.learning_rate=-1", "train.learning_rate=-1.0: give above 0"),
        ("train.num_workers=-1", "train.num_workers=-1: give 0 or more"),
        ("protocol=mine", "protocol=mine: there is no such protocol; choose one of benchmark, paper"),
        ("method.threshold=0.9", "method.threshold: there is no such setting"),
        ("method.strong_weight=-1", "method.strong_weight=-1.0: give 0 or more"),
        ("--augment", "--augment: there is no such option"),
    ],
)
def test_a_wrong_word_is_an_error_of_one_line(word: str, message: str, words: list[str]) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        main([*words, word])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_augment_without_a_synthetic_set_says_how_to_make_one(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ssl_aug\.generate"):
        main([*words, "augment=true", f"synthetic.root={tmp_path}"])
    assert not (tmp_path / "runs").exists()


def test_a_method_that_needs_unlabeled_images_says_so_when_there_are_none(words: list[str]) -> None:
    with pytest.raises(ValueError, match="method=fixmatch learns from unlabeled images"):
        main([*words, "method=fixmatch", "data.labels_per_class=8"])


def test_dry_run_prints_settings_and_counts_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*words, "method=fixmatch", "--dry-run"])
    printed = capsys.readouterr().out
    settings, counts = printed.split("\n\n")
    assert OmegaConf.create(settings).method == {
        "name": "fixmatch", "threshold": 0.7, "unlabeled_weight": 1.0, "strict": True, "strong_weight": 0.1,
        "passes": "separate", "mixup_alpha": 0.0, "cutmix_alpha": 0.0,
    }  # fmt: skip
    assert counts.splitlines() == [
        "num_classes: 4", "num_labeled: 8", "num_synthetic: 0", "num_unlabeled: 24", "num_test: 16",
        "num_validation: 0", f"would train 7 steps in a new folder in {tmp_path / 'runs'}",
    ]  # fmt: skip
    assert not (tmp_path / "runs").exists()


def test_the_help_names_every_setting_with_a_comment() -> None:
    text = help_text()
    names = [f.name for f in dataclasses.fields(BenchmarkSettings)]
    assert "augment=false" in text and "runs=outputs/runs" in text and "augment" in names
    for group, schema in (("train", "TrainSettings"), ("model", "ModelSettings"), ("view", "ViewSettings")):
        module = __import__("benchmarks.settings", fromlist=[schema])
        for field in dataclasses.fields(getattr(module, schema)):
            line = next(line for line in text.splitlines() if line.startswith(f"  {group}.{field.name}="))
            assert len(line.split(maxsplit=1)) == 2, f"{field.name} has no comment"
    for name, (_, schema_class) in METHODS.items():
        section = text.split(f"method={name}, ")[1].split("\n\n")[0]
        for field in dataclasses.fields(schema_class):
            assert f"  method.{field.name}=" in section


def test_the_command_line_exits_with_2_and_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(_: list[str]) -> None:
        main([*words, "train.steps=0"])

    with pytest.raises(SystemExit) as caught:
        command(wrong)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: train.steps=0: give 1 or more\n"


def test_the_file_trains_where_it_is_run_as_a_program(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["run.py", *words, "train.steps=2"])
    runpy.run_path(run.__file__, run_name="__main__")
    assert "test accuracy" in capsys.readouterr().out


HEAVY = "{'torch', 'timm', 'torchvision', 'tensorboard', 'diffusers', 'open_clip'}"


def test_a_dry_run_imports_nothing_that_only_training_needs(words: list[str]) -> None:
    script = (
        "import sys; from benchmarks.run import main; main([*sys.argv[1:], '--dry-run']);"
        f"sys.exit(str({HEAVY} & sys.modules.keys() or ''))"
    )
    asked = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    (line,) = asked.stderr.strip().splitlines()
    assert line.startswith("image_folder: 4 classes, 8 labeled, 24 unlabeled") and "num_labeled: 8" in asked.stdout


@pytest.mark.parametrize("method", METHODS)
def test_a_methods_file_says_what_its_classes_hold(method: str) -> None:
    settings = METHODS[method][1]()
    assert paper_values(method) == dataclasses.asdict(settings)
    assert facts_in_file(method) == facts_of(settings)


@pytest.mark.parametrize(
    ("method", "protocol"), [*((method, "benchmark") for method in METHODS), ("fixmatch", "paper"), ("erm", "paper")]
)
def test_a_dry_run_from_files_shows_what_the_classes_would(
    method: str, protocol: str, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "EMBEDDED_DATA", ("image_folder",))  # a method.clip= would ask the classes as well
    asked = [*words, f"method={method}", f"protocol={protocol}", "--dry-run"]
    main(asked)
    from_files = capsys.readouterr().out
    main([*asked, "resume=null"])  # with resume= the classes are asked
    assert from_files == capsys.readouterr().out


def test_a_dry_run_checks_what_is_said_of_a_method(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"method\.threshold=2\.0: give 0 to 1"):
        main([*words, "method=fixmatch", "method.threshold=2", "--dry-run"])
    with pytest.raises(ValueError, match="method=fixmach: there is no such method; choose one of adamatch, clip_means"):
        main([*words, "method=fixmach", "--dry-run"])


def test_compiled_grouped_passes_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"train.compile=true with method.passes=grouped: .* choose one of them"):
        settings_from([*words, "method=fixmatch", "method.passes=grouped", "train.compile=true"])


def test_mixing_without_synthetic_images_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"mix \(share 0\.3\) has no effect .* add augment=true"):
        settings_from([*words, "mix.synthetic_share=0.3"])
    with pytest.raises(ValueError, match=r"mix\.synthetic_share=1\.5"):
        settings_from([*words, "mix.synthetic_share=1.5", "augment=true"])
