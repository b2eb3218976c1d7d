"""How time and memory grow with images, classes, runs and unlabeled images: from 1,000 to 1,000,000 of them.

python docs/results/scripts/growth.py [folder for files, on a disk]

Each part and size is a process of its own with one thread. Seconds are the processor's, the least of three rounds (of
those that begin within 3 seconds); megabytes are what the process held at its peak beyond what was there before.
Prints the table of the page and writes growth.csv and growth.png beside it.
"""

from __future__ import annotations

import csv
import gc
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))  # also where this file is imported by its path
from growth_parts import PARTS, Part  # noqa: E402

PAGE = Path(__file__).parent.parent
FORK = multiprocessing.get_context("fork")  # the libraries are there already
SIZES = (10**3, 10**4, 10**5, 10**6)
ROUNDS, LONG = 3, 3.0  # seconds
LEAST_SECONDS, LEAST_MEGABYTES = 1e-4, 0.1  # below which nothing is told apart


@dataclass(frozen=True)
class Measured:
    """One point of the plot."""

    part: Part
    count: int
    seconds: float
    megabytes: float


def main() -> None:
    """Measures all."""
    torch.set_num_threads(1)
    scratch = Path(tempfile.mkdtemp(prefix="growth-", dir=sys.argv[1] if sys.argv[1:] else None))
    try:
        found = [measured(part, count, scratch) for part in PARTS for count in SIZES if count <= part.most]
    finally:
        shutil.rmtree(scratch)
    with (PAGE / "growth.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["group", "part", "unit", "count", "cpu_seconds", "megabytes"])
        for one in found:
            writer.writerow([one.part.group, one.part.name, one.part.unit, one.count, *figures(one)])
    print(as_markdown(found))
    plot(found, PAGE / "growth.png")


def measured(part: Part, count: int, scratch: Path) -> Measured:
    """A part at one size, in a process of its own."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    here, there = FORK.Pipe()
    process = FORK.Process(target=measure_here, args=(part, count, folder, there))
    process.start()
    there.close()
    one = Measured(part, count, *here.recv())
    process.join()
    shutil.rmtree(folder)
    print(f"{part.name}, {count}: {one.seconds:.4f} s, {one.megabytes:.1f} MB", file=sys.stderr, flush=True)
    return one


def measure_here(part: Part, count: int, folder: Path, told: Connection) -> None:
    """Sends seconds of the processor and megabytes of one part."""
    os.environ["SSL_AUG_CACHE"] = str(folder / "cache")
    (folder / "work").mkdir()
    act = part.ready(count, folder / "work")
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, seconds, peak = held_megabytes("VmRSS"), list[float](), 0.0
    while len(seconds) < ROUNDS and sum(seconds) <= LONG:
        start = time.process_time()
        act()
        seconds.append(time.process_time() - start)
        peak = peak or held_megabytes("VmHWM")  # of the first round: later ones take what it has let go
    told.send((min(seconds), peak - before))


def held_megabytes(kind: str) -> float:
    """VmRSS, what the process holds, or VmHWM, the most that it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1024


def figures(one: Measured) -> tuple[str, str]:
    return f"{one.seconds:.5f}", f"{max(0.0, one.megabytes):.1f}"


def slope(of: list[Measured], figure: str, least: float) -> str:
    """log of the ratio over log of the sizes, of the two largest sizes; a dash where nothing is told apart."""
    few, many = (max(least, getattr(one, figure)) for one in of[-2:])
    return "-" if many < 10 * least else f"{math.log(many / few) / math.log(of[-1].count / of[-2].count):.2f}"


def as_markdown(found: list[Measured]) -> str:
    """A row for each part: figures at the two largest sizes, and slopes between them."""
    lines = ["| part | of so many | CPU seconds | slope | MB | slope |", "|---|---|---:|---:|---:|---:|"]
    for part in PARTS:
        own = [one for one in found if one.part is part]
        last = own[-1]
        lines.append(
            f"| {part.name} | {last.count:,} {part.unit} | {last.seconds:.3g} | "
            f"{slope(own, 'seconds', LEAST_SECONDS)} | {max(0.0, last.megabytes):.0f} | "
            f"{slope(own, 'megabytes', LEAST_MEGABYTES)} |"
        )
    return "\n".join(lines)


def plot(found: list[Measured], path: Path) -> None:
    """Time and memory beside each other, a row for each group of parts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    groups = list(dict.fromkeys(part.group for part in PARTS))
    figure, axes = plt.subplots(len(groups), 2, figsize=(12, 3.6 * len(groups)), layout="constrained")
    for row, group in zip(axes, groups, strict=True):
        parts = [part for part in PARTS if part.group == group]
        for axis, what, least in zip(row, ("seconds", "megabytes"), (LEAST_SECONDS, LEAST_MEGABYTES), strict=True):
            for number, part in enumerate(parts):
                own = [one for one in found if one.part is part]
                values = [max(least, getattr(one, what)) for one in own]
                label = f"{part.name} ({part.unit})" if part.unit != "images" else part.name
                axis.plot(
                    [one.count for one in own], values, "os^vD<>pP"[number] + "-", label=label, markersize=4, lw=1.2
                )
            start = 3 * least
            axis.plot(SIZES, [start * count / SIZES[0] for count in SIZES], "k--", lw=1, label="slope 1")
            axis.set(xscale="log", yscale="log", title=f"{group}: {'CPU seconds' if what == 'seconds' else 'MB'}")
            axis.grid(alpha=0.3)
        row[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False)
    axes[-1][0].set_xlabel("how many")
    axes[-1][1].set_xlabel("how many")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
