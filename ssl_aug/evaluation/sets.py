"""Draws the sets that an evaluation asks for, measures each, and writes the table down."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ssl_aug.evaluation.bench import Bench, notes_of
from ssl_aug.evaluation.paper import in_paper_form
from ssl_aug.evaluation.plan import plan_evaluation
from ssl_aug.evaluation.plots import plot
from ssl_aug.evaluation.rows import Measured
from ssl_aug.evaluation.settings import (
    EvaluateSettings,
    held_values,
)
from ssl_aug.evaluation.table_text import IN_CSV, Row, aligned, table
from ssl_aug.files import write_json, written_atomically
from ssl_aug.lock import locked, remove_leftovers
from ssl_aug.made_by import command_of, write_command
from ssl_aug.runtime import placement
from ssl_aug.versions import versions


def evaluate(settings: EvaluateSettings) -> list[Row]:
    """One row of measures for the real test images (the floor), where there are any, and one for each set.

    What was measured in the folder before is not measured again.

    Raises:
        ValueError, OSError: bad settings or data, or a folder that holds another evaluation.
    """
    assert not settings.dry_run
    plan = plan_evaluation(settings)
    place = placement(settings.device, settings.precision)
    dataset, split, folder, of_cells = plan.dataset, plan.split, plan.folder, plan.cells
    with locked(folder, "measuring into"):
        remove_leftovers(folder, "*/.*.part")
        bench = Bench(settings, dataset, split, folder, settings.of_paper is None or settings.table == "3", place)
        of_sets = [bench.measured(one, plan.finished) for one in plan.asked]
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
