"""All that a run needs to go on from a step: weights, averages, method state, momenta, results so far.

Sampling, views and dropout are functions of (seed, step), so no generator's state is among it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from timm.utils import ModelEmaV3
from torch import Tensor

from benchmarks.evaluation import Accuracy
from benchmarks.methods.base import Classifier, Method
from benchmarks.optim import build_optimizer
from benchmarks.run_folder import STATE
from benchmarks.settings import TrainSettings
from ssl_aug.files import write_json, written_atomically
from ssl_aug.weights import read_own, write_weights

TRY_INSTEAD = "lower train.learning_rate, or use precision=fp32"
READABLE = "last.json"


@dataclass
class TrainState:
    """What a training step changes."""

    model: Classifier
    method: Method
    optimizer: torch.optim.SGD
    scaler: torch.amp.GradScaler
    average: ModelEmaV3 | None
    step: int = 0  # steps that are done
    seconds: float = 0.0  # spent in steps and evaluations
    accuracies: dict[str, float] = field(default_factory=dict)  # of the last evaluation, percent
    best: dict[str, float] = field(default_factory=dict)  # highest of every evaluation, percent
    unevaluated: dict[str, float] | None = None  # the log's row of this step, where its evaluation is still to be made

    def begin_round(self) -> None:
        """What the method's next round changes, and with it momenta and the average: they begin with its weights."""
        self.method.begin_round(self.model)
        self.optimizer.state.clear()
        if self.average is not None:
            self.average.set(self.model)

    def record(self, raw: Accuracy, average: Accuracy | None, validation: Accuracy | None = None) -> None:
        """Takes in an evaluation on the test set of the weights, and of their average if there is one.

        Args:
            validation: of the weights on the validation images; the first step at which it is highest selects.
        """
        self.accuracies = {"accuracy": raw.top1, "mean_class_accuracy": raw.mean_class}
        if average is not None:
            self.accuracies |= {"ema_accuracy": average.top1, "ema_mean_class_accuracy": average.mean_class}
        if validation is not None:
            self.accuracies["validation_accuracy"] = validation.top1
            if validation.top1 > self.best.get("validation_accuracy", -1.0):
                self.best["accuracy_at_best_validation"] = raw.top1
        self.best |= {name: max(value, self.best.get(name, 0.0)) for name, value in self.accuracies.items()}


def new_state(model: Classifier, method: Method, settings: TrainSettings, half: bool) -> TrainState:
    """A state at step 0; `half` says that gradients are float16 and need scaling."""
    average = ModelEmaV3(model, decay=settings.ema_decay) if settings.ema_decay > 0 else None
    scaler = torch.amp.GradScaler("cuda", enabled=half)
    return TrainState(model, method, build_optimizer(model, method, settings), scaler, average)


def save_state(folder: Path, state: TrainState) -> None:
    """Writes `last.safetensors`, which holds everything, and `last.json`, the part of it that reads as text.

    Raises:
        ValueError: weights that are not finite; what was saved before stays.
    """
    facts = {
        "step": state.step,
        "seconds": state.seconds,
        "accuracies": state.accuracies,
        "best": state.best,
        "unevaluated": state.unevaluated,
        "scaler": state.scaler.state_dict(),
    }
    with written_atomically(folder / STATE) as part:
        write_weights(_tensors(state), part, TRY_INSTEAD, facts, f"weights after {state.step} steps")
    write_json(folder / READABLE, facts)


def load_state(folder: Path, state: TrainState) -> None:
    """Puts a saved state into `state`, which was built from the same settings.

    Raises:
        FileNotFoundError: nothing was saved yet.
        ValueError: the file is damaged or belongs to other settings.
    """
    path = folder / STATE
    if not path.is_file():
        raise FileNotFoundError(f"resume={folder}: there is no {STATE} in it, start the run anew without resume=")
    tensors, facts = read_own(path, "start the run anew without resume=")

    def part(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        state.model.load_state_dict(part("model/"))
        state.method.load_state_dict(part("method/"))
        if state.average is not None:
            state.average.module.load_state_dict(part("average/"))
    except RuntimeError as error:
        raise ValueError(f"{path} was saved by other settings: {str(error).splitlines()[-1].strip()}") from error
    momenta = {int(name): {"momentum_buffer": value} for name, value in part("momentum/").items()}
    state.optimizer.load_state_dict({"state": momenta, "param_groups": state.optimizer.state_dict()["param_groups"]})
    state.scaler.load_state_dict(facts["scaler"])
    state.step, state.seconds = facts["step"], facts["seconds"]
    state.accuracies, state.best = facts["accuracies"], facts["best"]
    state.unevaluated = facts["unevaluated"]
    write_json(folder / READABLE, facts)  # it was killed in between, perhaps after its last step


def _tensors(state: TrainState) -> dict[str, Tensor]:
    momenta = state.optimizer.state_dict()["state"]
    named = {f"model/{name}": value for name, value in state.model.state_dict().items()}
    named |= {f"method/{name}": value for name, value in state.method.state_dict().items()}
    if state.average is not None:
        named |= {f"average/{name}": value for name, value in state.average.module.state_dict().items()}
    for index, entry in momenta.items():
        if entry.get("momentum_buffer") is not None:  # None without momentum
            named[f"momentum/{index}"] = entry["momentum_buffer"]
    return named
