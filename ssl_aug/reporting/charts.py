"""Plots as positions in percent of their width, which the page draws as SVG that needs no script and no scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssl_aug.results.accuracies import Cell, Kind, Table
from ssl_aug.results.cells import lines_of
from ssl_aug.results.significance import wilson_interval

ROOM = 0.7  # of a bar plot's width that the longest bar takes; the rest is for its figure
MOST_POINTS = 300  # of a curve; more are averaged
TICKS = 4


@dataclass(frozen=True)
class Bar:
    """One bar, its places in percent of the plot's width."""

    series: int
    text: str  # what stands behind it
    end: float
    spread: tuple[float, float]  # from one deviation below to one above, or an interval; the same where there is none


@dataclass(frozen=True)
class BarGroup:
    """The bars of one method, below each other."""

    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class BarPlot:
    """Bars per method, a series per row of a table; ticks are (percent of the width, text)."""

    series: tuple[str, ...]
    groups: tuple[BarGroup, ...]
    ticks: tuple[tuple[float, str], ...]
    described: str


@dataclass(frozen=True)
class Curve:
    """A line over steps: points as SVG writes them, in a box of 100 x 100, and the ends of both axes in words."""

    points: str
    low: str
    high: str
    first: str
    last: str
    described: str


def bar_plot(table: Table) -> BarPlot:
    """The accuracies of a table with their standard deviations, or of single runs their intervals over test images."""
    short = lines_of(replace(table, num_images=None))  # the bars show the intervals
    lines = {row.label: line for row, line in zip(table.rows, short, strict=True)}
    rows = [row for row in table.rows if row.kind is not Kind.DIFFERENCE]
    tops = [_spread(cell, table.num_images)[1] for row in rows for cell in row.cells if cell is not None]
    step = _step(max([*tops, 1.0]) / TICKS)
    scale = 100 * ROOM / max([*tops, 1.0])
    groups, told = [], []
    for column, label in enumerate(table.columns):
        bars = []
        for series, row in enumerate(rows):
            cell = row.cells[column]
            if cell is None:
                continue
            low, high = _spread(cell, table.num_images)
            mean, text = cell.mean if isinstance(cell, Cell) else cell, lines[row.label][1 + column]
            bars.append(Bar(series, text, mean * scale, (low * scale, high * scale)))
            told.append(f"{label}, {row.label}: {text} %")
        groups.append(BarGroup(label, tuple(bars)))
    ticks = tuple((number * step * scale, f"{number * step:g}") for number in range(int(max([*tops, 1.0]) / step) + 1))
    return BarPlot(tuple(row.label for row in rows), tuple(groups), ticks, "; ".join(told))


def _spread(cell: Cell | float, num_images: int | None) -> tuple[float, float]:
    if not isinstance(cell, Cell):
        return cell, cell
    if cell.std is None:
        return (cell.mean, cell.mean) if num_images is None else wilson_interval(cell.mean, num_images)
    return max(0.0, cell.mean - cell.std), cell.mean + cell.std


def _step(rough: float) -> float:
    """The next of 1, 2, 5, 10, ... that is not below it."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def curve(points: Sequence[tuple[float, float]], what: str) -> Curve | None:
    """A curve over steps; None of fewer than two finite points.

    Args:
        points: (step, value), steps rising.
        what: the value, in words, for who cannot see it.
    """
    points = _thinned([point for point in points if math.isfinite(point[1])])
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    low, high = min(value for _, value in points), max(value for _, value in points)
    first, last = points[0][0], points[-1][0]
    height = (high - low) or 1.0
    places = [(100 * (step - first) / (last - first), 100 - 100 * (value - low) / height) for step, value in points]
    drawn = " ".join(f"{across:.2f},{down:.2f}" for across, down in places)
    told = (
        f"{what} from step {first:g} to {last:g}: {points[0][1]:.4g} at first, {points[-1][1]:.4g} at last, "
        f"between {low:.4g} and {high:.4g}"
    )
    return Curve(drawn, f"{low:.3g}", f"{high:.3g}", f"{first:g}", f"{last:g}", told)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // MOST_POINTS)
    parts = [points[first : first + size] for first in range(0, len(points), max(1, size))]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
