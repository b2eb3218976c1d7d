"""result.json: what a run is, and what came of it."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ssl_aug.files import write_json
from ssl_aug.records import kinds_of, read_record

RESULT = "result.json"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The content of result.json, field for field in its order; accuracies are in percent.

    A field that has a default is one that the runs of some earlier version lack.
    """

    status: str  # running, done, "stopped at step 7" or "failed: the error's line"
    method: str
    augment: bool
    mix: str = ""  # how synthetic images join the labeled ones, where that is not the paper's way
    protocol: str
    data: str
    data_folder: str | None = None  # name of the folder that holds the images; null for images that are made
    labels_per_class: int | None  # null: all labels are known
    split_seed: int | None = None
    seed: int
    model: str
    num_classes: int | None = None
    num_labeled: int | None = None
    num_synthetic: int
    num_unlabeled: int | None = None
    num_test: int | None = None
    test_id: str | None = None  # of the test images' names, labels and contents
    model_id: str | None = None  # of the weights that the backbone starts from
    num_validation: int | None = None
    labeled_set_id: str
    unlabeled_id: str | None = None
    synthetic_set_id: str | None = None
    steps: int
    settings: dict[str, Any] = field(default_factory=dict)  # by dotted name, those that repetitions share
    device: str | None = None
    precision: str | None = None
    channels_last: bool | None = None  # whether the network was computed in this memory order
    versions: dict[str, str] = field(default_factory=dict)
    steps_done: int | None = None
    accuracy_last: float | None  # null before the first evaluation
    accuracy_best_on_test: float | None = None
    mean_class_accuracy: float | None = None
    validation_accuracy_last: float | None = None
    accuracy_at_best_validation: float | None = None
    ema_accuracy_last: float | None = None
    ema_accuracy_best_on_test: float | None = None
    ema_mean_class_accuracy: float | None = None
    seconds: float | None = None  # spent in training steps and evaluations

    @classmethod
    def read(cls, path: Path) -> RunResult:
        """The result in a file, also in one of an earlier version; keys that are no field are passed over.

        Raises:
            ValueError: the file is not readable, or lacks what every version wrote.
        """
        way_out = "it is not a result of python -m benchmarks.run: take it away, or restore it"
        content = read_record(path, kinds_of(cls), way_out, _ALWAYS_WRITTEN)
        return cls(**{each.name: content[each.name] for each in fields(cls) if each.name in content})

    def write(self, folder: Path) -> None:
        """Writes result.json into a run's folder."""
        write_json(folder / RESULT, asdict(self))

    @property
    def is_done(self) -> bool:
        """Whether the last step was reached."""
        return self.status == "done"

    @property
    def identity(self) -> dict[str, str | int | None]:
        """Which images a run sees and which weights it starts from."""
        return {
            "labeled_set_id": self.labeled_set_id,
            "synthetic_set_id": self.synthetic_set_id,
            "num_unlabeled": self.num_unlabeled,
            "unlabeled_id": self.unlabeled_id,
            "num_test": self.num_test,
            "test_id": self.test_id,
            "num_validation": self.num_validation,
            "model_id": self.model_id,
        }


_ALWAYS_WRITTEN = tuple(
    each.name for each in fields(RunResult) if each.default is MISSING and each.default_factory is MISSING
)
