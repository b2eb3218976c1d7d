"""Draws the sets that an evaluation asks for, measures each, and writes the table down."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ssl_aug.data.base import LabeledSet
from ssl_aug.data.build import load_and_tell
from ssl_aug.drawing.draw import draw_set
from ssl_aug.evaluation.ruler import Row, Ruler
from ssl_aug.evaluation.settings import EvaluateSettings, name_of, variants
from ssl_aug.files import read_json, write_json, written_atomically
from ssl_aug.lock import locked
from ssl_aug.runtime import placement, versions
from ssl_aug.settings import EMBEDDED_DATA, MEASURES, deciding, deciding_pictures, short_hash
from ssl_aug.synthetic import SyntheticSet, is_finished, is_imported

UNJUDGED = (
    "warning: without test images nothing tells how often the judge is right: its class shares compare sets with each "
    "other at most"
)
OF_CARS = (
    "warning: judge and backbone were trained on rendered cars: on other images the figures compare sets of the same "
    "data, and are no one else's"
)
COLUMNS = {
    "class_share": "class %",
    "frechet_distance": "FD",
    "kernel_distance": "KD x1000",
    "inception_score": "IS",
    "precision": "precision",
    "recall": "recall",
    "diversity": "diversity",
    "near_copy_rate": "near-copies %",
    "paint_share": "paint %",
}


def evaluate(settings: EvaluateSettings) -> list[Row]:
    """One row of measures for the real test images (the floor), where there are any, and one for each set."""
    dataset, split = load_and_tell(settings.data)
    place = placement(settings.device, settings.precision)
    finished = finished_set(settings, split.labeled)
    folder = Path(settings.out) if settings.out else default_folder(settings)
    if finished is not None and not settings.out and is_imported(finished.folder):  # no settings tell it from others
        folder = folder.with_name(f"{folder.name}-{finished.id}")
    chosen = list(variants(settings))  # a wrong value is an error before anything is drawn
    _refuse_other_evaluation(folder, settings)
    if settings.dry_run:
        if finished is not None:
            print(f"would measure {len(finished)} images in {finished.folder}")
            return []
        for variant in chosen:
            print(name_of(variant, settings.swept))
            draw_set(variant, dataset, split)
        return []
    with locked(folder, "measuring into"):
        ruler = Ruler(dataset, settings.generator, settings.prompt, settings.features, settings.judge_steps, place)
        found: list[Row] = []
        for variant in chosen:
            synthetic = finished or draw_set(variant, dataset, split)
            if synthetic is None:
                raise ValueError(
                    "several processes draw this set: run ssl_aug.generate to its end, then evaluate it alone"
                )
            found.append(
                {"set": name_of(variant, settings.swept), **ruler.measure(synthetic.first(variant.per_sample))}
            )
        table = [*ruler.floor(max(row["num_images"] for row in found)), *found]
        _write(folder, settings, ruler, table)
    print(render(table, ruler.title))
    if ruler.judge_accuracy is None:
        print(UNJUDGED, file=sys.stderr)
    if settings.data.name not in EMBEDDED_DATA:
        print(OF_CARS, file=sys.stderr)
    print(f"written to {folder}")
    return table


def finished_set(settings: EvaluateSettings, labeled: LabeledSet) -> SyntheticSet | None:
    """The finished set in synthetic.root that holds as many images as asked for, taken as it is; None where there is
    none, so that one is to be drawn.

    Raises:
        ValueError: it was drawn from another labeled set, or is not as it was drawn.
    """
    if settings.synthetic.root is None or not is_finished(Path(settings.synthetic.root)):
        return None
    synthetic = SyntheticSet.open(settings.synthetic.root)
    labeled.with_synthetic(synthetic)
    asked = synthetic.first(settings.per_sample)
    if settings.synthetic.refill or (
        asked.num_drawn < settings.per_sample * len(labeled) and not is_imported(synthetic.folder)
    ):
        return None
    if asked.left_out:
        print(f"{synthetic.folder}: {asked.left_out}", file=sys.stderr)
    return asked


def render(table: list[Row], title: str) -> str:
    """The rows as aligned text."""
    columns = {key: title for key, title in COLUMNS.items() if key != "paint_share" or any(key in row for row in table)}
    lines = [["set", "images", *columns.values()]]
    for row in table:
        cells = [str(row["set"]), str(row["num_images"])]
        for key in columns:
            value = row.get(key)
            percent = key in ("class_share", "near_copy_rate", "paint_share")
            cells.append("-" if value is None else f"{100 * value:.1f}" if percent else f"{value:.3g}")
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([title, text[0], "-" * len(text[0]), *text[1:]])


def default_folder(settings: EvaluateSettings) -> Path:
    """A folder of its own for each evaluation's settings."""
    return (
        Path("outputs/evaluation") / f"{settings.data.name}-{settings.sweep or 'one'}-{short_hash(_identity(settings))}"
    )


def _refuse_other_evaluation(folder: Path, settings: EvaluateSettings) -> None:
    written = folder / "evaluation.json"
    if written.is_file() and not _agree(read_json(written)["settings"], _identity(settings)):
        raise FileExistsError(f"out={folder} holds an evaluation of other settings: name another folder")


def _identity(settings: EvaluateSettings) -> dict[str, Any]:
    """All that decides the figures."""
    return {**deciding_pictures(settings), **deciding(settings, MEASURES)}


def _agree(there: dict[str, Any], here: dict[str, Any]) -> bool:
    """Whether settings that were written down say the same; they hold more than what decides the figures."""
    return all(
        _agree(there.get(name) or {}, value) if isinstance(value, dict) else there.get(name) == value
        for name, value in here.items()
    )


def _write(folder: Path, settings: EvaluateSettings, ruler: Ruler, table: list[Row]) -> None:
    facts = {
        "title": ruler.title,
        "judge_accuracy": ruler.judge_accuracy,
        "settings": {**asdict(settings), **asdict(settings.sampling())},
    }
    write_json(folder / "evaluation.json", {**facts, "rows": table, "versions": versions()})
    with written_atomically(folder / "evaluation.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["set", "num_images", *COLUMNS, "kernel_distance_std"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
