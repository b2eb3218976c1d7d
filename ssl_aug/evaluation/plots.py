"""Pictures of the paper's tables and figures: curves or bars, and for figure 1 the drawings themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ssl_aug.data.reading import read_square
from ssl_aug.evaluation.paper import FD, IS, Cell
from ssl_aug.evaluation.rows import Measured
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.table_text import titles
from ssl_aug.files import written_atomically

THUMB_INCHES, THUMB_PX = 0.8, 128
OURS, PAPER, REAL = "C0", "C7", "black"


def plot(
    settings: EvaluateSettings, of_cells: Sequence[Cell], measured: Sequence[Measured], real: Sequence[Measured],
    features: str, folder: Path,
) -> list[Path]:  # fmt: skip
    """Writes the pictures of a table or figure of the paper; returns them. None for other evaluations.

    Args:
        measured: each cell's row.
        real: rows of real test images.
    """
    if not settings.of_paper:
        return []
    named = titles(features)
    figure = Figure(layout="constrained")
    if settings.table == "3":
        _by_mask_rate(figure, of_cells, measured, real, named)
    elif settings.table == "1":
        _by_approach(figure, of_cells, measured, real, named[FD])
    else:
        _by_steps(figure, of_cells, measured, real, named[FD])
    figure.suptitle(f"{settings.of_paper}: {settings.data.name}, {measured[0].row['num_images']} drawings", fontsize=9)
    path = folder / f"{settings.of_paper.replace(' ', '')}.png"
    found = [_saved(figure, path)]
    drawings = folder / "figure1_drawings.png"
    if settings.figure == "1" and any(Path(path).is_file() for one in measured for path in one.shown):
        return [*found, _saved(_drawings(of_cells, measured), drawings)]
    return [*found, drawings] if drawings.is_file() else found  # the sets may be gone since they were measured


def _by_steps(
    figure: Figure, of_cells: Sequence[Cell], measured: Sequence[Measured], real: Sequence[Measured], title: str
) -> None:
    axes = figure.add_subplot()
    for column in dict.fromkeys(one.column for one in of_cells):
        points = [
            (one.settings.tune.steps, found.row[FD])
            for one, found in zip(of_cells, measured, strict=True)
            if one.column == column and found.row.get(FD) is not None
        ]
        axes.plot([step for step, _ in points], [value for _, value in points], marker="o", label=column)
    _real_line(axes, real, FD)
    axes.set_xlabel("steps of tuning")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(title)
    axes.legend(fontsize=8)


def _by_mask_rate(
    figure: Figure, of_cells: Sequence[Cell], measured: Sequence[Measured], real: Sequence[Measured],
    named: dict[str, str],
) -> None:  # fmt: skip
    figure.set_size_inches(9, 4)
    for number, key in enumerate((FD, IS)):
        axes = figure.add_subplot(1, 2, number + 1)
        points = [
            (one.settings.mask_rate, found.row[key])
            for one, found in zip(of_cells, measured, strict=True)
            if found.row.get(key) is not None
        ]
        axes.plot(*zip(*points, strict=True) if points else ([], []), marker="o", color=OURS, label="ours")
        _real_line(axes, real, key)
        axes.set_xlabel("mask rate")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(named[key], color=OURS)
        published = [(one.settings.mask_rate, float(one.published[key])) for one in of_cells if key in one.published]
        theirs = axes.twinx()  # another measure of other data: only its course compares
        theirs.plot(*zip(*published, strict=True) if published else ([], []), "--", color=PAPER, label="paper")
        theirs.set_ylim(bottom=0)
        theirs.set_ylabel(f"paper's {'FID' if key == FD else 'IS'}", color=PAPER)
        lines, labels = axes.get_legend_handles_labels()
        more, other = theirs.get_legend_handles_labels()
        axes.legend(lines + more, labels + other, fontsize=8)


def _by_approach(
    figure: Figure, of_cells: Sequence[Cell], measured: Sequence[Measured], real: Sequence[Measured], title: str
) -> None:
    axes = figure.add_subplot()
    rows = list(dict.fromkeys(one.row for one in of_cells))
    columns = list(dict.fromkeys(one.column for one in of_cells))
    width = 0.8 / len(columns)
    for number, column in enumerate(columns):
        of = [(one, found) for one, found in zip(of_cells, measured, strict=True) if one.column == column]
        at = [rows.index(one.row) + (number - (len(columns) - 1) / 2) * width for one, _ in of]
        axes.bar(at, [found.row.get(FD) or 0.0 for _, found in of], width, label=f"tuned on {column}")
    _real_line(axes, real, FD)
    axes.set_xticks(range(len(rows)), rows)
    axes.set_ylabel(title)
    axes.legend(fontsize=8)


def _real_line(axes: Axes, real: Sequence[Measured], key: str) -> None:
    for one in real:
        if one.row.get(key) is not None:
            label = f"{one.row['num_images']} real test images"
            axes.axhline(one.row[key], color=REAL, linestyle=":", label=label)


def _drawings(of_cells: Sequence[Cell], measured: Sequence[Measured]) -> Figure:
    """For each approach a block of drawings of the same conditions, a row for each number of steps."""
    lines = sorted(zip(of_cells, measured, strict=True), key=lambda pair: (pair[0].column, pair[0].settings.tune.steps))
    most = max(len(found.shown) for _, found in lines)
    figure = Figure(figsize=(2 + THUMB_INCHES * most, THUMB_INCHES * len(lines)), layout="constrained")
    panels = figure.subplots(len(lines), most, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for number, (one, found) in enumerate(lines):
        panels[number, 0].set_title(f"{one.column}, {one.row}", fontsize=6, loc="left", pad=1)
        for panel, path in zip(panels[number], found.shown, strict=False):
            if Path(path).is_file():
                panel.imshow(Image.fromarray(read_square(Path(path), THUMB_PX)))
    return figure


def _saved(figure: Figure, path: Path) -> Path:
    with written_atomically(path, sweep=True) as part:
        figure.savefig(part, format="png", dpi=150)
    return path
