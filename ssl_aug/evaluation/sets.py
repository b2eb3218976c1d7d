"""Draws the sets that an evaluation asks for, measures each, and writes the table down."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ssl_aug.data.base import Dataset, LabeledSet, Split
from ssl_aug.data.build import load_and_tell
from ssl_aug.drawing.draw import draw_set
from ssl_aug.evaluation.bench import Asked, Bench, notes_of, of_other_images
from ssl_aug.evaluation.conditions import conditions_of, drawn_of_each
from ssl_aug.evaluation.paper import cells, in_paper_form
from ssl_aug.evaluation.plots import plot
from ssl_aug.evaluation.rows import ROWS, Measured
from ssl_aug.evaluation.rules import why_unknown
from ssl_aug.evaluation.settings import (
    EvaluateSettings,
    deciding_figures,
    held_values,
    name_of,
    refuse_without_effect,
    variants,
)
from ssl_aug.evaluation.table_text import IN_CSV, Row, aligned, table
from ssl_aug.files import write_json, written_atomically
from ssl_aug.lock import locked
from ssl_aug.made_by import command_of, write_command
from ssl_aug.records import read_record
from ssl_aug.runtime import placement, versions
from ssl_aug.settings import short_hash
from ssl_aug.synthetic import SyntheticSet, is_finished, is_imported


def evaluate(settings: EvaluateSettings) -> list[Row]:
    """One row of measures for the real test images (the floor), where there are any, and one for each set.

    What was measured in the folder before is not measured again.

    Raises:
        ValueError, OSError: bad settings or data, or a folder that holds another evaluation.
    """
    refuse_without_effect(settings)
    refuse_unknown_paper(settings)
    dataset, split = load_and_tell(settings.data)
    place = placement(settings.device, settings.precision)
    of_cells = cells(settings) if settings.of_paper else []
    asked = [Asked(cell.name, cell.settings) for cell in of_cells] or [
        Asked(name_of(variant, settings.swept), variant) for variant in variants(settings)
    ]  # a wrong value is an error before anything is drawn
    finished = finished_set(settings, split.labeled)
    folder = Path(settings.out) if settings.out else default_folder(settings)
    if finished is not None and not settings.out and is_imported(finished.folder):  # no settings tell it from others
        folder = folder.with_name(f"{folder.name}-{finished.id}")
    _refuse_other_evaluation(folder, settings, finished)
    if settings.dry_run:
        _foretell(asked, finished, dataset, split)
        return []
    with locked(folder, "measuring into"):
        bench = Bench(settings, dataset, split, folder, settings.of_paper is None or settings.table == "3", place)
        of_sets = [bench.measured(one, finished) for one in asked]
        found = [row for rows in of_sets for row in rows]
        counts = sorted({(one.row["num_images"], one.row["size_px"]) for one in (rows[0] for rows in of_sets)})
        floors = [bench.floor(*count) for count in counts]
        real = list({one.row["num_images"]: one for one in floors if one is not None}.values())
        if of_cells:
            text = in_paper_form(settings, of_cells, [rows[0] for rows in of_sets], real, bench.features)
        else:
            text = aligned(table([one.row for one in (*real, *found)], bench.features))
        text = "\n".join([found[0].title, text, *notes_of([*real, *found])])
        _write(folder, settings, [*real, *found], text)
        pictures = plot(settings, of_cells, [rows[0] for rows in of_sets], real, bench.features, folder)
    print(text)
    for picture in pictures:
        print(f"to look at it: {picture}")
    print(f"written to {folder}")
    return [one.row for one in (*real, *found)]


def refuse_unknown_paper(settings: EvaluateSettings) -> None:
    """Raises ValueError where a table of the paper would have no figure to show, before anything is drawn."""
    why = why_unknown(settings)
    if settings.of_paper and why is not None:
        raise ValueError(f"{settings.of_paper}: {why}")


def _foretell(asked: Sequence[Asked], finished: SyntheticSet | None, dataset: Dataset, split: Split) -> None:
    if finished is not None:
        print(f"would measure {len(finished)} images in {finished.folder}")
        return
    for one in asked:
        print(one.name)
        conditions = conditions_of(one.settings, dataset, split)
        variant = replace(one.settings, per_sample=drawn_of_each(one.settings, conditions))
        draw_set(variant, dataset, replace(split, labeled=conditions))


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


def _write(folder: Path, settings: EvaluateSettings, rows: Sequence[Measured], text: str) -> None:
    facts = {
        "title": rows[0].title,
        "notes": notes_of(rows),
        "judge_accuracy": next((one.judge_accuracy for one in rows if one.judge_accuracy is not None), None),
        "settings": {**asdict(settings), **asdict(settings.sampling()), **held_values(settings)},
    }
    write_json(folder / "evaluation.json", {**facts, "rows": [one.row for one in rows], "versions": versions()})
    write_command(folder, command_of("ssl_aug.evaluate", "evaluate", settings, EvaluateSettings, unsaid=("out",)))
    with written_atomically(folder / "evaluation.txt") as part:
        part.write_text(f"{text}\n", encoding="utf-8")
    _write_csv(folder / "evaluation.csv", IN_CSV, [{name: one.row.get(name) for name in IN_CSV} for one in rows])
    pairs = [{"set": one.row["set"], **asdict(pair)} for one in rows for pair in one.pairs]
    _write_csv(folder / "near_copies.csv", ("set", "cosine", "image", "nearest"), pairs)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    with written_atomically(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
