"""The first five losses of each method and of tuning, in float32: whatever moves the numbers is seen at once.

A change of losses.json is a decision: a commit of its own, with the reason. It is written anew by
`python -m tests.snapshots.test_losses`.
"""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from benchmarks.methods import METHODS, build_method
from benchmarks.methods.base import bounds_of_round
from benchmarks.run import settings_from
from ssl_aug import tune as tune_module
from tests.benchmarks.conftest import batch_for, build_classifier
from tests.conftest import write_image_folder

LOSSES = Path(__file__).with_name("losses.json")
STEPS = 5
PROTOCOLS = ("benchmark", "paper")
APPROACHES = ("anl", "anl_lora", "anl_unconditional", "all", "scratch")


def expected() -> dict[str, list[float]]:
    found: dict[str, list[float]] = json.loads(LOSSES.read_text())
    return found


def losses_of_method(method: str, protocol: str) -> list[float]:
    """The sums that are minimized, with thresholds that some images of an untrained network pass."""
    has_threshold = "threshold" in {field.name for field in fields(METHODS[method][1])}
    threshold = ["method.threshold=0.3"] if has_threshold else []
    settings = settings_from([f"method={method}", f"protocol={protocol}", *threshold]).method
    model = build_classifier()
    torch.manual_seed(7)
    built = build_method(settings, model, 16, 24)
    optimizer = torch.optim.SGD([*model.parameters(), *built.parameters()], 0.03, momentum=0.9)
    found = []
    for step in range(STEPS):
        torch.manual_seed(step)  # dropout
        first, _ = bounds_of_round(built.rounds, step, STEPS)
        if step == first > 0:
            built.begin_round(model)
        loss = torch.stack(list(built(model, *batch_for(built, step), step / STEPS).losses.values())).sum()
        if built.has_gradient:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found.append(loss.item())
    return found


def losses_of_tuning(approach: str, checkpoint: Path, folder: Path) -> list[float]:
    """Of the tiny model on 15 little pictures; `folder` must be the working folder."""
    write_image_folder(folder / "photos")
    tune_module.main([
        "data=image_folder", "data.root=photos", "data.labels_per_class=3", "generator=ldm", "device=cpu",
        f"generator.checkpoint={checkpoint}", f"tune.approach={approach}", f"tune.steps={STEPS}", "tune.batch_size=4",
        "tune.base_learning_rate=1e-3", "precision=fp32",
    ])  # fmt: skip
    with next(folder.glob("outputs/adapters/*/losses.csv")).open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", METHODS)
def test_a_methods_losses_are_those_of_the_snapshot(method: str, protocol: str) -> None:
    found = losses_of_method(method, protocol)
    assert found == pytest.approx(expected()[f"{method} {protocol}"], rel=1e-5)


@pytest.mark.parametrize("approach", APPROACHES)
def test_tunings_losses_are_those_of_the_snapshot(
    approach: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = losses_of_tuning(approach, tiny_checkpoint, tmp_path)
    assert found == pytest.approx(expected()[f"tuning {approach}"], rel=1e-5)


def test_nothing_else_is_in_the_snapshot() -> None:
    methods = {f"{method} {protocol}" for method in METHODS for protocol in PROTOCOLS}
    assert expected().keys() == methods | {f"tuning {approach}" for approach in APPROACHES}


def main() -> None:
    """Writes the snapshot."""
    import os
    import tempfile

    from generators import model_folder
    from tests.conftest import build_tiny_model

    found = {f"{method} {protocol}": losses_of_method(method, protocol) for method in METHODS for protocol in PROTOCOLS}
    for approach in APPROACHES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SSL_AUG_CACHE"] = f"{folder}/cache"
            os.chdir(folder)
            model_folder.save(build_tiny_model(), Path("model"))
            found[f"tuning {approach}"] = losses_of_tuning(approach, Path("model"), Path(folder))
    lines = [f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in found.items()]
    LOSSES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
