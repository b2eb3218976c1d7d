"""What an evaluation measures and where it writes: known before anything is drawn. No torch here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_aug.data.base import Dataset, LabeledSet, Split
from ssl_aug.data.build import load_and_tell
from ssl_aug.evaluation.conditions import drawn_of_each
from ssl_aug.evaluation.paper import Cell, cells
from ssl_aug.evaluation.rows import ROWS
from ssl_aug.evaluation.rules import why_unknown
from ssl_aug.evaluation.settings import EvaluateSettings, deciding_figures, name_of, refuse_without_effect, variants
from ssl_aug.records import read_record
from ssl_aug.settings import short_hash
from ssl_aug.synthetic import SyntheticSet, is_finished, is_imported


@dataclass(frozen=True)
class Asked:
    """A set to measure."""

    name: str
    settings: EvaluateSettings


@dataclass(frozen=True)
class EvaluationPlan:
    """What is measured, and where the figures lie."""

    dataset: Dataset
    split: Split
    cells: list[Cell]  # of a table or figure of the paper; empty for any other evaluation
    asked: list[Asked]
    finished: SyntheticSet | None  # the set itself, where it is not to be drawn
    folder: Path


def plan_evaluation(settings: EvaluateSettings) -> EvaluationPlan:
    """Loads the data and names the sets; a wrong value is an error before anything is drawn.

    Raises:
        ValueError, OSError: bad settings or data, or a folder that holds another evaluation.
    """
    refuse_without_effect(settings)
    refuse_unknown_paper(settings)
    dataset, split = load_and_tell(settings.data)
    of_cells = cells(settings) if settings.of_paper else []
    asked = [Asked(cell.name, cell.settings) for cell in of_cells] or [
        Asked(name_of(variant, settings.swept), variant) for variant in variants(settings)
    ]
    finished = finished_set(settings, split.labeled)
    folder = Path(settings.out) if settings.out else default_folder(settings)
    if finished is not None and not settings.out and is_imported(finished.folder):  # no settings tell it from others
        folder = folder.with_name(f"{folder.name}-{finished.id}")
    _refuse_other_evaluation(folder, settings, finished)
    return EvaluationPlan(dataset, split, of_cells, asked, finished, folder)


def refuse_unknown_paper(settings: EvaluateSettings) -> None:
    """Raises ValueError where a table of the paper would have no figure to show, before anything is drawn."""
    why = why_unknown(settings)
    if settings.of_paper and why is not None:
        raise ValueError(f"{settings.of_paper}: {why}")


def finished_set(settings: EvaluateSettings, labeled: LabeledSet) -> SyntheticSet | None:
    """The finished set in synthetic.root that holds as many images as asked for, taken as it is; None where there is
    none, so that one is to be drawn.

    Raises:
        ValueError: it was drawn from another labeled set, or is not as it was drawn; or other conditions are asked for.
    """
    if settings.synthetic.root is None or not is_finished(Path(settings.synthetic.root)):
        return None
    if settings.drawn_from != "labeled":
        raise ValueError(
            f"conditions={settings.drawn_from} has no effect on the set in synthetic.root={settings.synthetic.root}, "
            "which is there: leave one of them out"
        )
    synthetic = SyntheticSet.open(settings.synthetic.root)
    labeled.with_synthetic(synthetic)
    per_sample = drawn_of_each(settings, labeled)
    asked = synthetic.first(per_sample)
    if settings.synthetic.refill or (asked.num_drawn < per_sample * len(labeled) and not is_imported(synthetic.folder)):
        return None
    if asked.left_out:
        print(f"{synthetic.folder}: {asked.left_out}", file=sys.stderr)
    return asked


def default_folder(settings: EvaluateSettings) -> Path:
    """A folder of its own for each evaluation's settings."""
    kind = (settings.of_paper or settings.sweep or "one").replace(" ", "")
    return Path("outputs/evaluation") / f"{settings.data.name}-{kind}-{short_hash(deciding_figures(settings))}"


def _refuse_other_evaluation(folder: Path, settings: EvaluateSettings, finished: SyntheticSet | None) -> None:
    written = folder / "evaluation.json"
    if not written.is_file():
        return
    if not _agree(written_settings(written), deciding_figures(settings)):
        raise FileExistsError(f"out={folder} holds an evaluation of other settings: name another folder")
    if not (folder / ROWS).is_dir():
        raise FileExistsError(
            f"{folder} holds an evaluation by an earlier version of this program: name another folder with out="
        )
    rows = read_record(written, {"rows": (list,)}, "take it away", ["rows"])["rows"]
    if finished is not None and not {row.get("set_id") for row in rows} <= {"real", finished.id}:
        raise FileExistsError(of_other_images(folder, finished))


def of_other_images(folder: Path, synthetic: SyntheticSet) -> str:
    """What is said where a set changed since it was measured."""
    return f"{folder} holds the figures of {synthetic.folder} when it had other images: name another folder with out="


def written_settings(path: Path) -> dict[str, Any]:
    """The settings of an evaluation that was made; raises ValueError where its file is damaged."""
    found: dict[str, Any] = read_record(path, {"settings": (dict,)}, "take it away", ["settings"])["settings"]
    return found


def _agree(there: dict[str, Any], here: dict[str, Any]) -> bool:
    """Whether settings that were written down say the same; they hold more than what decides the figures."""
    return all(
        _agree(there.get(name) or {}, value) if isinstance(value, dict) else there.get(name) == value
        for name, value in here.items()
    )
