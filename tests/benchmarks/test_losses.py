"""Losses are read where something hangs on them, and one that is not finite stops a run before weights are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import trainer
from benchmarks.losses import LossCheck, scalars
from benchmarks.methods.base import StepOutput
from benchmarks.run import settings_from
from ssl_aug.files import read_json
from tests.benchmarks.conftest import assert_same_weights, read_log, trained


def step_of(supervised: float, unlabeled: float = 0.5) -> StepOutput:
    losses = {"supervised": torch.tensor(supervised, requires_grad=True), "unlabeled": torch.tensor(unlabeled)}
    return StepOutput(losses, {"share": torch.tensor(0.1)})


def test_scalars_are_the_numbers_themselves() -> None:
    output = step_of(1 / 3)
    expected = {"loss/supervised": output.losses["supervised"].item(), "loss/unlabeled": 0.5}
    assert scalars(output) == expected | {"report/share": output.report["share"].item()}


def test_a_loss_that_is_not_finite_is_named_with_its_step_at_once_or_a_step_later() -> None:
    with pytest.raises(ValueError, match=r"^loss 'unlabeled' is nan at step 7: lower train\.learning_rate"):
        LossCheck(is_late=False).add(step_of(1.0, float("nan")), 7)
    late = LossCheck(is_late=True)
    late.add(step_of(1.0), 6)
    late.add(step_of(float("inf")), 7)
    with pytest.raises(ValueError, match=r"^loss 'supervised' is inf at step 7:"):
        late.add(step_of(1.0), 8)
    late = LossCheck(is_late=True)
    late.add(step_of(float("-inf")), 3)
    with pytest.raises(ValueError, match=r"^loss 'supervised' is -inf at step 3:"):
        late.read_all()


def make_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are read as on a GPU."""
    monkeypatch.setattr(trainer, "LossCheck", lambda is_late: LossCheck(is_late=True))


def test_what_is_read_late_changes_nothing(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*words, "method=fixmatch"]
    at_once = trained(words)
    make_late(monkeypatch)
    late = trained(words)
    assert_same_weights(at_once, late)
    logs = [[{**row, "seconds": ""} for row in read_log(folder)] for folder in (at_once, late)]
    assert logs[0] == logs[1] and len(logs[0]) == 7


@pytest.mark.parametrize("every", ["train.eval_every=1", "train.eval_every=7"])
def test_weights_that_a_late_loss_condemns_are_neither_logged_tested_nor_saved(
    words: list[str], every: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_late(monkeypatch)
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)  # a state after every step
    words = [*words, "train.learning_rate=1e30", "train.backbone_lr_factor=1", every]
    with pytest.raises(ValueError, match=r"^(loss 'supervised' is (nan|inf) at step \d|weights after \d steps)"):
        trained(words)
    (folder,) = Path(settings_from(words).runs).iterdir()
    assert "nan" not in "".join(path.read_text() for path in folder.glob("log.csv"))
    assert read_json(folder / "result.json")["status"].startswith("failed")


def test_only_rows_that_are_logged_are_read(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[StepOutput] = []

    def counted(output: StepOutput) -> dict[str, float]:
        read.append(output)
        return scalars(output)

    monkeypatch.setattr(trainer, "scalars", counted)
    folder = trained([*words, "train.log_every=3"])
    assert [row["step"] for row in read_log(folder)] == ["3", "4", "6", "7"]
    assert len(read) == 4
