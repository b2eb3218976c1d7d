"""Whole runs: the folder that they leave, synthetic images and what ends them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file

from benchmarks.evaluation import accuracy
from benchmarks.run import main, settings_from
from generators.hashes import file_hash
from ssl_aug.data.base import LabeledSet
from ssl_aug.data.build import load_split
from ssl_aug.data.layout import class_folder
from ssl_aug.files import read_json
from ssl_aug.synthetic import COLUMNS, SyntheticSet
from tests.benchmarks.conftest import assert_same_weights, read_log, trained

FIELDS = {
    *("method", "augment", "data", "labels_per_class", "seed", "num_labeled", "num_synthetic", "num_unlabeled"),
    *("num_test", "steps", "accuracy_last", "accuracy_best_on_test", "mean_class_accuracy", "seconds", "device"),
    *("versions", "labeled_set_id", "synthetic_set_id", "status"),
}


# ---------------------------------------------------------------------------------------------------------------------
# a run and what it leaves


@pytest.mark.parametrize("method", ["erm", "fixmatch", "noisy_student", "clip_means"])  # of each kind of state one
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


def test_a_loss_that_is_not_finite_is_named_and_the_run_says_so(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"loss 'supervised' is (nan|inf) at step \d+"):
        trained([*words, "train.learning_rate=1e30", "train.backbone_lr_factor=1"])
    folder = Path(next(word for word in words if word.startswith("runs="))[5:]) / "0001-erm"
    assert read_json(folder / "result.json")["status"].startswith("failed: loss 'supervised' is")


def test_a_truncated_picture_is_named_before_the_first_step(
    words: list[str], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.single_run.train", lambda *training: pytest.fail("it was trained"))
    copy = tmp_path / "copy"
    shutil.copytree(pictures, copy)
    broken = copy / "test" / "class_2" / "1.png"
    broken.write_bytes(broken.read_bytes()[:100])
    for more in ([], ["--dry-run"]):
        with pytest.raises(ValueError, match=r"class_2/1\.png cannot be read as an image"):
            main([*words, f"data.root={copy}", *more])


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


def test_photos_are_not_given_to_the_backbone_of_rendered_cars_unasked(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [word for word in words if not word.startswith("model")]
    with pytest.raises(ValueError, match=r"^data=image_folder wants a model=: resnet50 \(ImageNet weights"):
        settings_from(plain)
    assert settings_from([*plain, "model=embedded"]).model.name == "embedded"
    assert settings_from([*plain, "experiment=paper"]).model.name == "resnet50.tv_in1k"
    main(words)
    assert "warning: model.name=test_resnet starts from random weights" in capsys.readouterr().err
