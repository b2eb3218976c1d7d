"""result.json: its keys are public, and what earlier versions wrote is read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ssl_aug.files import read_json
from ssl_aug.results.result import RunResult

KEYS = (
    "status", "method", "augment", "mix", "protocol", "data", "data_folder", "labels_per_class", "split_seed", "seed",
    "model", "num_classes", "num_labeled", "num_synthetic", "num_unlabeled", "num_test", "test_id", "model_id",
    "num_validation", "labeled_set_id", "unlabeled_id", "synthetic_set_id", "steps", "settings", "device", "precision",
    "channels_last", "versions", "steps_done", "accuracy_last", "accuracy_best_on_test", "mean_class_accuracy",
    "validation_accuracy_last", "accuracy_at_best_validation", "ema_accuracy_last", "ema_accuracy_best_on_test",
    "ema_mean_class_accuracy", "seconds",
)  # fmt: skip
OF_AN_EARLY_VERSION: dict[str, Any] = {
    "status": "done", "method": "erm", "augment": False, "protocol": "benchmark", "data": "toycars",
    "labels_per_class": 4, "seed": 0, "model": "embedded", "num_labeled": 96, "num_synthetic": 0,
    "num_unlabeled": 100, "num_test": 50, "labeled_set_id": "abc", "synthetic_set_id": None, "steps": 100,
    "accuracy_last": 30.0, "seconds": 1.5,
}  # fmt: skip


def written(folder: Path, content: object) -> Path:
    path = folder / "result.json"
    path.write_text(json.dumps(content))
    return path


def test_keys_and_their_order_are_public() -> None:
    assert tuple(each.name for each in fields(RunResult)) == KEYS


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = RunResult.read(written(tmp_path, OF_AN_EARLY_VERSION))
    result = replace(result, settings={"train.steps": 100, "method.threshold": None}, versions={"torch": "2"}, mix="é")
    result.write(tmp_path)
    assert RunResult.read(tmp_path / "result.json") == result
    assert tuple(read_json(tmp_path / "result.json")) == KEYS


def test_an_early_versions_result_says_nothing_of_what_it_lacks(tmp_path: Path) -> None:
    result = RunResult.read(written(tmp_path, OF_AN_EARLY_VERSION | {"a_later_key": 1}))
    assert (result.mix, result.settings, result.versions) == ("", {}, {})
    assert result.identity == {
        "labeled_set_id": "abc", "synthetic_set_id": None, "num_unlabeled": 100, "unlabeled_id": None,
        "num_test": 50, "test_id": None, "num_validation": None, "model_id": None,
    }  # fmt: skip
    assert result.accuracy_last == 30.0 and result.ema_accuracy_last is None


@pytest.mark.parametrize("name", [
    "status", "method", "augment", "protocol", "data", "labels_per_class", "seed", "model", "num_synthetic",
    "labeled_set_id", "steps", "accuracy_last",
])  # fmt: skip
def test_a_file_without_what_every_version_wrote_is_no_result(name: str, tmp_path: Path) -> None:
    content = {key: value for key, value in OF_AN_EARLY_VERSION.items() if key != name}
    with pytest.raises(
        ValueError, match=rf"result\.json lacks {name}: it is not a result of python -m benchmarks\.run"
    ):
        RunResult.read(written(tmp_path, content))


@pytest.mark.parametrize(
    ("status", "is_done"), [("done", True), ("running", False), ("stopped at step 7", False), ("failed: no", False)]
)
def test_the_status_says_whether_a_run_is_done(status: str, is_done: bool) -> None:
    assert RunResult(**OF_AN_EARLY_VERSION | {"status": status}).is_done == is_done
