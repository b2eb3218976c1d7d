"""Stopping at any step, and going on from there."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from benchmarks import trainer
from benchmarks.evaluation import Accuracy
from benchmarks.methods import METHODS
from benchmarks.run import settings_from
from benchmarks.state import TrainState, save_state
from ssl_aug.files import read_json
from ssl_aug.results.result import RunResult
from tests.benchmarks.conftest import assert_same_weights, build_classifier, read_log, ready, trained
from tests.conftest import stop_after


# the other methods' weights: below
@pytest.mark.parametrize(
    ("method", "precision"),
    [("erm", "fp32"), ("fixmatch", "fp32"), ("self_tuning", "bf16"), ("noisy_student", "fp32")],
)
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(method: str, words: list[str]) -> None:
    words = [*words, f"method={method}", "train.ema_decay=0.7", "train.schedule=cosine"]
    whole = trained(words)
    for step in (3, 4) if method == "fixmatch" else (3,):  # between evaluations, and at one
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
def test_stops_at_random_steps_leave_no_trace(method: str, words: list[str]) -> None:
    words = [*words, f"method={method}", "train.steps=8", "train.eval_every=8", "train.ema_decay=0.7"]
    whole = trained(words)
    stops = sorted(random.Random(f"stops of {method}").sample(range(1, 8), 2))
    folder, before = None, 0
    for step in stops:
        with stop_after(step - before, trainer):
            trained(words if folder is None else [f"resume={folder}"])
        folder, before = max(whole.parent.iterdir()), step
        assert read_json(folder / "last.json")["step"] == step
    assert trained([f"resume={folder}"]) == folder
    has_state = bool(ready(METHODS[method][1](), build_classifier()).state_dict())
    assert has_state == any(name.startswith("method/") for name in load_file(folder / "last.safetensors"))
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


def test_a_run_that_was_killed_between_its_last_two_files_is_whole_after_resuming(words: list[str]) -> None:
    folder = trained(words)
    whole = (folder / "last.json").read_bytes()
    (folder / "last.json").write_text('{"step": 4}')  # of the evaluation before
    assert trained([f"resume={folder}"]) == folder
    assert (folder / "last.json").read_bytes() == whole


def test_states_are_saved_between_evaluations_and_change_nothing(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = trainer.save_state

    def save_and_note(folder: Path, state: TrainState) -> None:
        saved.append(state.step)
        save(folder, state)

    monkeypatch.setattr(trainer, "save_state", save_and_note)
    plain = trained(words)
    assert saved == [4, 7]  # a short run saves where it evaluates
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    often = trained(words)
    assert set(saved[2:]) == set(range(1, 8))
    assert_same_weights(plain, often)


def test_resume_takes_its_settings_from_the_run(words: list[str], tmp_path: Path) -> None:
    folder = trained([*words, "train.steps=1"])
    with pytest.raises(ValueError, match=r"^train.steps=9: resume= goes on with the settings"):
        settings_from([f"resume={folder}", "train.steps=9"])
    with pytest.raises(FileNotFoundError, match="no run folder"):
        settings_from([f"resume={tmp_path / 'nowhere'}"])
    settings, asked = settings_from([f"resume={folder}", "device=cpu"]), settings_from([*words, "train.steps=1"])
    assert settings.sampling() == asked.sampling()  # config.yaml says what held, also where nothing was asked
    held = {field.name: getattr(asked, field.name) for field in dataclasses.fields(asked.sampling())}
    assert dataclasses.replace(settings, resume=None, **held) == asked


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("train.num_workers=-1", "train.num_workers=-1: give 0 or more"),
        ("train.num_workers=many", "train.num_workers=many: Value 'many'"),
        ("device=tpu", "device=tpu: choose one of auto, cpu, cuda"),
    ],
)
def test_a_slip_beside_resume_is_not_blamed_on_the_run(word: str, said: str, words: list[str]) -> None:
    folder = trained([*words, "train.steps=1"])
    with pytest.raises(ValueError) as error:
        settings_from([f"resume={folder}", word])
    assert str(error.value).startswith(said) and "anew" not in str(error.value)


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


@pytest.mark.parametrize("call", [1, 2, 3, 5, 6])  # evaluations are of weights, average and validation images
def test_an_evaluation_that_was_interrupted_is_made_up_for(
    call: int, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a large test set it takes longer than a machine that is taken away waits."""
    words = [*words, "train.ema_decay=0.7", "data.validation_per_class=1", "train.eval_every=4"]
    whole, calls, evaluate = trained(words), list[int](), trainer.evaluate

    def interrupted(*arguments: Any) -> Accuracy:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "evaluate", interrupted)
        trained(words)
    folder = max(whole.parent.iterdir())
    assert read_json(folder / "last.json")["step"] == (4 if call <= 3 else 7) and len(calls) == call
    trained([f"resume={folder}"])
    assert_same_weights(whole, folder)
    without_times = [
        [{**row, "seconds": ""} for row in read_log(each)]
        + [{**read_json(each / "result.json"), "seconds": ""}, {**read_json(each / "last.json"), "seconds": ""}]
        for each in (whole, folder)
    ]
    assert without_times[0] == without_times[1]


def test_a_training_that_leaves_the_numbers_stops_and_keeps_the_state_before(words: list[str]) -> None:
    with stop_after(3, trainer):
        trained(words)
    folder = max(Path(settings_from(words).runs).iterdir())
    config = OmegaConf.load(folder / "config.yaml")
    config.train.learning_rate, config.train.eval_every = 1e30, 7
    OmegaConf.save(config, folder / "config.yaml")
    before = (folder / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"^(loss .* at step 4|weights after .*): lower train.learning_rate, or use"):
        trained([f"resume={folder}"])
    assert (folder / "last.safetensors").read_bytes() == before
    assert RunResult.read(folder / "result.json").status.startswith("failed")


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    state = TrainState(
        model, model, torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler(enabled=False), None
    )
    save_state(tmp_path, state)
    before = (tmp_path / "last.safetensors").read_bytes()
    model.weight.data[0, 0] = torch.inf
    state.step = 7
    with pytest.raises(
        ValueError, match=r"weights after 7 steps are not saved, model/weight is not finite \(nan or inf\)"
    ):
        save_state(tmp_path, state)
    assert (tmp_path / "last.safetensors").read_bytes() == before
