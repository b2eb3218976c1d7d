"""Whole runs: result, resume, interruption, refusals. In process; the command line itself once."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

from benchmarks import trainer
from benchmarks.evaluation import accuracy
from benchmarks.help import help_text
from benchmarks.methods import METHODS
from benchmarks.result import RunResult
from benchmarks.run import main, settings_from
from benchmarks.settings import BenchmarkSettings
from benchmarks.single_run import run
from ssl_aug.command_line import config_folder
from ssl_aug.data.base import LabeledSet
from ssl_aug.data.build import load_split
from ssl_aug.runtime import command, file_hash, interrupts_deferred, read_json
from ssl_aug.synthetic import COLUMNS, SyntheticSet, class_folder
from tests.conftest import IN_BOTH_PRECISIONS, stop_after

FIELDS = {
    *("method", "augment", "data", "labels_per_class", "seed", "num_labeled", "num_synthetic", "num_unlabeled"),
    *("num_test", "steps", "accuracy_last", "accuracy_best_on_test", "mean_class_accuracy", "seconds", "device"),
    *("versions", "labeled_set_id", "synthetic_set_id", "status"),
}


def trained(words: list[str]) -> Path:
    return run(settings_from(words))


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_weights(a: Path, b: Path) -> None:
    weights_a, weights_b = load_file(a / "last.safetensors"), load_file(b / "last.safetensors")
    assert weights_a.keys() == weights_b.keys()
    for name, value in weights_a.items():
        assert torch.equal(value, weights_b[name]), name


# ---------------------------------------------------------------------------------------------------------------------
# a run and what it leaves


@pytest.mark.parametrize("method", METHODS)
def test_a_run_leaves_a_folder_that_explains_itself(method: str, words: list[str], tmp_path: Path) -> None:
    folder = trained([*words, f"method={method}"])
    assert folder.parent == tmp_path / "runs" and folder.name == f"0001-{method}"
    result = read_json(folder / "result.json")
    assert result.keys() >= FIELDS
    assert result["status"] == "done" and result["steps_done"] == result["steps"] == 7
    assert (result["num_labeled"], result["num_unlabeled"], result["num_test"]) == (8, 24, 16)
    assert result["num_synthetic"] == 0 and result["synthetic_set_id"] is None
    for name in ("accuracy_last", "accuracy_best_on_test", "mean_class_accuracy"):
        assert 0 <= result[name] <= 100
    assert result["accuracy_best_on_test"] >= result["accuracy_last"]
    assert result["ema_accuracy_last"] is None
    rows = read_log(folder)
    assert [int(row["step"]) for row in rows] == list(range(1, 8))
    assert [row["step"] for row in rows if row["accuracy"]] == ["4", "7"]
    assert all(float(row["loss/supervised"]) > 0 for row in rows)
    assert OmegaConf.load(folder / "config.yaml").method.name == method
    assert list(folder.glob("events.out.tfevents*"))


def test_validation_images_select_and_train_nothing(words: list[str]) -> None:
    plain, folder = trained(words), trained([*words, "data.validation_per_class=3"])
    result, without = read_json(folder / "result.json"), read_json(plain / "result.json")
    assert (result["num_validation"], result["num_unlabeled"]) == (12, 12)
    assert (without["num_validation"], without["accuracy_at_best_validation"]) == (0, None)
    assert result["labeled_set_id"] == without["labeled_set_id"]
    assert_same_weights(plain, folder)  # ERM looks at labeled images alone, which are the same
    rows = [row for row in read_log(folder) if row["accuracy"]]
    best = max(rows, key=lambda row: float(row["validation_accuracy"]))  # the first of equal ones
    assert result["accuracy_at_best_validation"] == pytest.approx(float(best["accuracy"]), rel=1e-4)
    assert result["accuracy_at_best_validation"] <= result["accuracy_best_on_test"]


def test_every_run_gets_a_folder_of_its_own(words: list[str]) -> None:
    assert [trained([*words, "train.steps=1"]).name for _ in range(2)] == ["0001-erm", "0002-erm"]


def test_the_same_seed_gives_the_same_weights_with_workers_too(words: list[str]) -> None:
    words = [*words, "method=fixmatch"]
    first = trained(words)
    assert_same_weights(first, trained([*words, "train.num_workers=2"]))
    other = load_file(trained([*words, "seed=1"]) / "last.safetensors")
    assert not torch.equal(load_file(first / "last.safetensors")["model/head.weight"], other["model/head.weight"])


def test_training_learns_what_the_colors_say(words: list[str]) -> None:
    rate = ["train.backbone_lr_factor=1", "train.learning_rate=0.05"]
    folder = trained([*words, *rate, "train.steps=40", "train.eval_every=40", "train.batch_size=16", "view.flip=true"])
    assert read_json(folder / "result.json")["accuracy_last"] > 60  # chance is 25


def test_accuracies_count_images_and_classes() -> None:
    predictions, targets = torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 0, 0, 0, 2])
    found = accuracy(predictions, targets)
    assert found.top1 == pytest.approx(100 * 4 / 5)
    assert found.mean_class == pytest.approx((75 + 100) / 2)  # class 1 has no test image


# ---------------------------------------------------------------------------------------------------------------------
# stop and resume


@IN_BOTH_PRECISIONS
@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(method: str, words: list[str]) -> None:
    words = [*words, f"method={method}", "train.ema_decay=0.7", "train.schedule=cosine"]
    whole = trained(words)
    for step in (1, 3, 4, 6):
        with stop_after(step, trainer):
            trained(words)
        folder = max(whole.parent.iterdir())
        assert read_json(folder / "last.json")["step"] == step
        assert read_json(folder / "result.json")["status"] == f"stopped at step {step}"
        assert trained([f"resume={folder}"]) == folder
        assert_same_weights(whole, folder)
        resumed, expected = read_json(folder / "result.json"), read_json(whole / "result.json")
        for name in expected.keys() - {"seconds"}:
            assert resumed[name] == expected[name], name
        logs = [read_log(whole), read_log(folder)]
        for a, b in zip(*logs, strict=True):
            assert {**a, "seconds": ""} == {**b, "seconds": ""}


@pytest.mark.parametrize("method", METHODS)
def test_ten_stops_at_random_steps_leave_no_trace(method: str, words: list[str]) -> None:
    words = [*words, f"method={method}", "train.steps=30", "train.eval_every=30", "train.ema_decay=0.7"]
    whole = trained(words)
    stops = sorted(random.Random(f"stops of {method}").sample(range(1, 30), 10))
    folder, before = None, 0
    for step in stops:
        with stop_after(step - before, trainer):
            trained(words if folder is None else [f"resume={folder}"])
        folder, before = max(whole.parent.iterdir()), step
        assert read_json(folder / "last.json")["step"] == step
    assert trained([f"resume={folder}"]) == folder
    state = load_file(folder / "last.safetensors")
    has_state = any(name.startswith("method/") for name in state)
    assert has_state == (method not in ("erm", "pseudo_label", "uda", "fixmatch"))
    assert_same_weights(whole, folder)


def test_a_run_that_was_killed_goes_on_from_its_last_evaluation(words: list[str]) -> None:
    whole, killed = trained(words), trained([*words, "train.steps=4"])
    config = OmegaConf.load(killed / "config.yaml")
    config.train.steps = 7  # as if it had been seven
    OmegaConf.save(config, killed / "config.yaml")
    with (killed / "log.csv").open("a") as log:
        log.write("5,0.03,1.0,0.5,1.0,,\n")  # a row after what was saved
    trained([f"resume={killed}"])
    assert_same_weights(whole, killed)
    assert [row["step"] for row in read_log(killed)] == list("1234567")


def test_resume_takes_its_settings_from_the_run(words: list[str], tmp_path: Path) -> None:
    folder = trained([*words, "train.steps=1"])
    with pytest.raises(ValueError, match=r"^train.steps=9: resume= goes on with the settings"):
        settings_from([f"resume={folder}", "train.steps=9"])
    with pytest.raises(FileNotFoundError, match="no run folder"):
        settings_from([f"resume={tmp_path / 'nowhere'}"])
    settings = settings_from([f"resume={folder}", "device=cpu"])
    assert dataclasses.replace(settings, resume=None) == settings_from([*words, "train.steps=1"])


def test_resume_refuses_other_data_and_damaged_states(words: list[str]) -> None:
    folder = trained([*words, "train.steps=1"])
    (folder / "last.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="is damaged"):
        trained([f"resume={folder}"])
    (folder / "last.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="start the run anew"):
        trained([f"resume={folder}"])
    folder = trained([*words, "train.steps=1"])
    dataclasses.replace(RunResult.read(folder / "result.json"), labeled_set_id="another").write(folder)
    with pytest.raises(ValueError, match="its labeled_set_id is another"):
        trained([f"resume={folder}"])


def test_a_signal_waits_for_the_end_of_the_step_and_a_second_one_does_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_deferred() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


# ---------------------------------------------------------------------------------------------------------------------
# augmentation


def write_synthetic(folder: Path, labeled: LabeledSet, per_sample: int) -> Path:
    """A finished set as it lies on disk: each labeled image, darkened."""
    rows = []
    for k in range(per_sample):
        for number, example in enumerate(labeled.examples):
            path = f"images/{class_folder(example.label, labeled.class_names)}/{number}_{k}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.open(example.path).point(lambda value: value * 3 // 4).save(folder / path)
            content = {"path": path, "label": example.label, "k": k, "sha256": file_hash(folder / path)}
            content["class_score"] = f"{(number + 1) / (10 * k + 10):.3f}"
            rows.append(dict.fromkeys(COLUMNS, "") | content)
    folder.mkdir(exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (folder / "generator.json").write_text(json.dumps({"labeled_set_id": labeled.id}))
    return folder


def test_augment_trains_on_the_synthetic_images_as_labeled_ones(words: list[str], tmp_path: Path) -> None:
    labeled = load_split(settings_from(words).data)[1].labeled
    full, empty = (write_synthetic(tmp_path / str(n), labeled, n) for n in (3, 0))
    plain = trained(words)
    augmented = trained([*words, "augment=true", f"synthetic.root={full}", "per_sample=3"])
    assert augmented.name == "0002-erm-augment"
    result = read_json(augmented / "result.json")
    assert (result["num_labeled"], result["num_synthetic"], result["augment"]) == (8, 24, True)
    assert len(result["synthetic_set_id"]) == 12
    assert result["labeled_set_id"] == read_json(plain / "result.json")["labeled_set_id"]
    assert OmegaConf.load(augmented / "config.yaml").synthetic.root == str(full)
    # an empty set changes nothing: no run could tell the two labeled sets apart
    assert labeled.with_synthetic(SyntheticSet.open(empty)) == labeled
    with pytest.raises(ValueError, match="was drawn from labeled set"):
        main([*words, "augment=true", f"synthetic.root={full}", "data.split_seed=1"])


def test_scores_choose_and_weigh_synthetic_images(words: list[str], tmp_path: Path) -> None:
    labeled = load_split(settings_from(words).data)[1].labeled
    augmented = [
        *words,
        "augment=true",
        f"synthetic.root={write_synthetic(tmp_path / 'set', labeled, 3)}",
        "per_sample=3",
    ]
    plain, chosen, weighed = (
        trained([*augmented, *more]) for more in ([], ["mix.keep_share=0.5"], ["mix.weight_by=class_score"])
    )
    results = [read_json(folder / "result.json") for folder in (plain, chosen, weighed)]
    assert [result["num_synthetic"] for result in results] == [24, 12, 24]
    assert [result["mix"] for result in results] == ["", "best 0.5", "by class_score"]
    losses = [read_log(folder)[0]["loss/supervised"] for folder in (plain, weighed)]
    assert losses[0] != losses[1]  # the same batch, weighed otherwise
    with pytest.raises(ValueError, match="has no source_score"):
        trained([*augmented, "mix.weight_by=source_score"])


# ---------------------------------------------------------------------------------------------------------------------
# refusals


def test_a_loss_that_is_not_finite_is_named_and_the_run_says_so(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"loss 'supervised' is (nan|inf) at step \d+"):
        trained([*words, "train.learning_rate=1e30", "train.backbone_lr_factor=1"])
    folder = Path(next(word for word in words if word.startswith("runs="))[5:]) / "0001-erm"
    assert read_json(folder / "result.json")["status"].startswith("failed: loss 'supervised' is")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("method=erx", "method=erx: there is no such method; choose one of debiasmatch, dst, erm"),
        ("batch_size=8", "batch_size=8: that is the generator's and has no effect here, use train.batch_size=8"),
        ("steps=8", "use train.steps=8"),
        ("train.stepz=3", "train.stepz: there is no such setting, did you mean train.steps"),
        ("train.steps=0", "train.steps=0: give 1 or more"),
        ("train.batch_size=1", "train.batch_size=1: give 2 or more"),
        ("mix.weight_by=sha256", "mix.weight_by=sha256: choose one of source_score, class_score, or null"),
        ("mix.keep_share=0", "mix.keep_share=0.0: give above 0 to 1, or null"),
        ("train.ema_decay=1", "train.ema_decay=1.0: give 0 to below 1"),
        ("train.schedule=step", "choose one of exp, cosine, multistep, constant"),
        ("train.learning_rate=-1", "train.learning_rate=-1.0: give a positive number"),
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


def test_a_truncated_picture_ends_the_run_with_its_name(words: list[str], pictures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pictures, copy)
    broken = copy / "test" / "class_2" / "1.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"class_2/1\.png cannot be read as an image"):
        main([*words, f"data.root={copy}"])


# ---------------------------------------------------------------------------------------------------------------------
# command line


def test_dry_run_prints_settings_and_counts_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*words, "method=fixmatch", "--dry-run"])
    printed = capsys.readouterr().out
    settings, counts = printed.split("\n\n")
    assert OmegaConf.create(settings).method == {
        "name": "fixmatch", "threshold": 0.7, "unlabeled_weight": 1.0, "strict": True, "strong_weight": 0.1,
        "passes": "separate",
    }  # fmt: skip
    assert counts.splitlines() == [
        "num_classes: 4", "num_labeled: 8", "num_synthetic: 0", "num_unlabeled: 24", "num_test: 16",
        "num_validation: 0",
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


def test_the_paper_protocol_is_the_methods_own_defaults() -> None:
    for name, (_, schema) in METHODS.items():
        assert settings_from([f"method={name}", "protocol=paper"]).method == schema()
        assert settings_from([f"method={name}"]).method != schema()
    assert settings_from(["protocol=paper", "method.strong_weight=0.2"]).method.strong_weight == 0.2


def test_the_paper_preset_is_the_benchmarks_on_stanford_cars() -> None:
    erm, fixmatch = (settings_from([f"method={name}", "experiment=paper"]) for name in ("erm", "fixmatch"))
    assert (erm.train.learning_rate, erm.train.steps) == (0.03, 10000)
    assert (fixmatch.train.learning_rate, fixmatch.train.steps) == (0.01, 30000)
    assert (fixmatch.method.threshold, fixmatch.method.strict, fixmatch.method.strong_weight) == (0.7, True, 0.1)
    for settings in (erm, fixmatch):
        assert (settings.data.name, settings.model.name, settings.model.image_size) == (
            "stanford_cars",
            "resnet50.tv_in1k",
            224,
        )
        assert (settings.train.schedule, settings.train.gamma, settings.train.eval_every) == ("exp", 4e-4, 500)
    assert settings_from(["experiment=paper", "model=tiny"]).model.name == "test_resnet"


def test_every_method_has_its_configs() -> None:
    for name in METHODS:
        for path in (f"method/{name}", f"recipe/none_{name}", f"recipe/paper_{name}", f"protocol/values/paper_{name}"):
            assert (config_folder() / f"{path}.yaml").is_file(), path


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


def test_a_failing_run_of_a_grid_is_counted_and_the_others_go_on(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"1 of 2 runs failed, the first with: loss 'supervised' is"):
        main(["--multirun", *words, "train.backbone_lr_factor=1", "train.learning_rate=1e30,0.01"])
    statuses = [read_json(path)["status"] for path in sorted((tmp_path / "runs").glob("*/result.json"))]
    assert statuses[0].startswith("failed") and statuses[1] == "done"
    assert not list((tmp_path / "runs").glob(".grid-*"))


def test_the_command_line_exits_with_2_and_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(_: list[str]) -> None:
        main([*words, "train.steps=0"])

    with pytest.raises(SystemExit) as caught:
        command(wrong)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: train.steps=0: give 1 or more\n"


def test_python_m_trains_and_help_needs_no_torch(words: list[str], tmp_path: Path) -> None:
    module = [sys.executable, "-m", "benchmarks.run"]
    done = subprocess.run([*module, *words, "train.steps=2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    script = (
        "import sys; from benchmarks.run import main; main(['--help']);"
        "sys.exit('torch is imported' if 'torch' in sys.modules else 0)"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr


def test_a_dry_run_imports_nothing_that_only_training_needs(words: list[str]) -> None:
    """torch comes with the methods' files, which hold their settings too."""
    script = (
        "import sys; from benchmarks.run import main; main([*sys.argv[1:], '--dry-run']);"
        "sys.exit(str({'timm', 'torchvision', 'tensorboard', 'diffusers', 'open_clip'} & sys.modules.keys() or ''))"
    )
    asked = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert asked.stderr.strip() == "" and "num_labeled: 8" in asked.stdout


@pytest.mark.parametrize(
    "change", ["train.gradient_clip=0.01", "train.channels_last=true", "mix.synthetic_weight=0.5 augment=true"]
)
def test_clipping_and_weights_change_a_run_and_memory_order_does_not(
    words: list[str], tmp_path: Path, change: str
) -> None:
    from ssl_aug.generate import main as generate_main

    here = [word for word in words if word.startswith("data")]
    root = f"synthetic.root={tmp_path / 'set'}"
    generate_main([*here, "generator=noise", "per_sample=2", "device=cpu", "precision=fp32", root])
    more = ["generator=noise", "per_sample=2", root] if "augment" in change else []
    plain = [*words, *more, *([w for w in change.split() if w == "augment=true"])]
    logs = []
    for extra in ([], [w for w in change.split() if w != "augment=true"]):
        folder = trained([*plain, *extra])
        with (folder / "log.csv").open() as file:
            logs.append([float(row["loss/supervised"]) for row in csv.DictReader(file)])
    if "channels_last" in change:
        assert logs[0] == pytest.approx(logs[1], rel=1e-4)
    else:
        assert logs[0] != logs[1]


def test_compiled_grouped_passes_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"train.compile=true with method.passes=grouped: .* choose one of them"):
        settings_from([*words, "method=fixmatch", "method.passes=grouped", "train.compile=true"])


def test_mixing_without_synthetic_images_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"mix \(share 0\.3\) has no effect .* add augment=true"):
        settings_from([*words, "mix.synthetic_share=0.3"])
    with pytest.raises(ValueError, match=r"mix\.synthetic_share=1\.5"):
        settings_from([*words, "mix.synthetic_share=1.5", "augment=true"])
