"""All of it: the table of ratios, the profile, the paper's run in hours, and the JSON file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from torch.profiler import profile, supported_activities

from ssl_aug.data.base import Split
from ssl_aug.data.build import load_split
from ssl_aug.drawing.compiling import in_silence
from ssl_aug.files import write_json
from ssl_aug.runtime import (
    Placement,
    has_bfloat16_units,
    keep_compiled,
    name_of_precision,
    placement,
    wait_for,
)
from ssl_aug.speeds.drawing import drawing_part
from ssl_aug.speeds.machine import facts, matmul_peak
from ssl_aug.speeds.paper import FEW_STEPS, Stage, StageTime, memory_of_tuning, stages_of_generation, time_of
from ssl_aug.speeds.parts import Call, Part, Row, measure
from ssl_aug.speeds.settings import SpeedSettings
from ssl_aug.speeds.tuning import tuning_parts
from ssl_aug.tuning.memory import TuningMemory

GROUP = "ssl_aug.speed"  # entry points of other packages: (split, places) -> parts, (place) -> stages
TOP = 8  # operations of a profile


@dataclass
class Measured:
    """What was measured so far."""

    machine: dict[str, object]
    peaks: dict[str, float]
    rows: list[Row] = field(default_factory=list)
    stages: list[StageTime] = field(default_factory=list)
    memory: dict[str, TuningMemory] = field(default_factory=dict)

    def content(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "machine": self.machine,
            "peaks": self.peaks,
            "rows": [asdict(row) for row in self.rows],
            "paper": [{**asdict(stage), "hours": stage.hours} for stage in self.stages],
            "memory": {words: {**asdict(held), "total": held.total} for words, held in self.memory.items()},
        }


def measure_speed(settings: SpeedSettings) -> Path:
    """Measures, prints, writes; returns the JSON file. Stopped on the way it writes what was measured.

    Raises:
        FileExistsError: the file is there already.
        ValueError, OSError: a device or precision that this machine has not, data that cannot be read, a folder that
            cannot be made.
    """
    out = Path(settings.out or f"outputs/speed/{datetime.now():%Y-%m-%dT%H-%M-%S}.json")
    if out.exists():
        raise FileExistsError(f"{out} is there already: choose another file with --out")
    asked = placement(settings.device, settings.precision)
    split = load_split(settings.data)[1] if "training" in settings.job_names else None  # before minutes of other work
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = "bf16" if settings.precision in ("auto", "fp32") else settings.precision
    places = {name: placement(asked.device.type, name) for name in ("fp32", beside)}
    wait = partial(wait_for, asked.device)
    found = Measured(facts(asked), {name: matmul_peak(place, place.dtype, wait) for name, place in places.items()})
    for line in about(found, asked.device.type):
        print(line, flush=True)
    if settings.compile:
        print(f"what is compiled is kept in {keep_compiled()}")
    try:
        print("\n" + HEADER, flush=True)
        for part in parts_of(settings, split, places):
            with in_silence():
                measured = measure(part, settings.rounds, found.peaks, wait)
            found.rows += measured
            print("\n".join(line_of(row) for row in measured), flush=True)
            if settings.profile:
                print(profiles_of(part), flush=True)
        if settings.paper:
            measure_paper(found, places.get(name_of_precision(asked.dtype), asked), wait)
    finally:
        if found.rows or found.stages:
            write_json(out, found.content())
            print(f"written to {out}", flush=True)
    return out


def measure_paper(found: Measured, place: Placement, wait: Callable[[], None]) -> None:
    """The paper's run stage by stage, and the memory that its tuning takes."""
    precision = name_of_precision(place.dtype)
    print(f"\nthe paper's run on this machine in {precision}, full size, random weights:", flush=True)
    for stage in stages_of(place, place.device.type == "cuda"):
        found.stages.append(time_of(stage, wait))
        print(stage_line(found.stages[-1]), flush=True)
    print(total_line(found.stages), flush=True)
    found.memory |= memory_of_tuning()
    for words, held in found.memory.items():
        print(f"  {words}: {held.total / 1e9:.1f} GB at the peak of a step, computed", flush=True)


# ---------------------------------------------------------------------------------------------------------------------
# what is measured


def parts_of(settings: SpeedSettings, split: Split | None, places: dict[str, Placement]) -> Iterator[Part]:
    """Parts one after the other: a network is let go before the next is made.

    Args:
        split: what a training reads; None where none is measured.
    """
    on_gpu = next(iter(places.values())).device.type == "cuda"
    for name in settings.network_names:
        if "drawing" in settings.job_names:
            sizes: Sequence[int | None] = settings.batch_sizes or [None]
            for batch in sizes:
                yield drawing_part(name, places, batch, settings.compile)
        if "tuning" in settings.job_names:
            yield from tuning_parts(name, places, on_gpu)
    if split is not None:
        for point in entry_points(group=GROUP, name="parts"):
            yield from point.load()(split, places)


def stages_of(place: Placement, on_gpu: bool) -> Iterator[Stage]:
    """Generation's stages, and those of what trains on it."""
    yield from stages_of_generation(place, on_gpu)
    for point in entry_points(group=GROUP, name="stages"):
        yield from point.load()(place)


def profiles_of(part: Part) -> str:
    """The longest operations of the plain way and of each of ours."""
    ways: Sequence[tuple[str, Call]] = [
        ("plain", part.plain),
        *((way, call) for way, (call, _) in part.ours.items()),
    ]
    return "\n".join(f"    {way}: {longest_operations(call)}" for way, call in ways)


def longest_operations(call: Callable[[], object]) -> str:
    """`convolution 41 %, group norm 22 %, ...`: shares of the processor's, or the GPU's, own time."""
    with profile(activities=supported_activities()) as profiled:
        call()
    averages = profiled.key_averages()
    on_gpu = any(each.self_device_time_total for each in averages)
    own = {each.key: each.self_device_time_total if on_gpu else each.self_cpu_time_total for each in averages}
    total = sum(own.values()) or 1
    longest = sorted(own, key=lambda name: -own[name])[:TOP]
    return ", ".join(f"{name.removeprefix('aten::')} {100 * own[name] / total:.0f} %" for name in longest)


# ---------------------------------------------------------------------------------------------------------------------
# how it is told

HEADER = f"{'part':<46}{'way':<16}{'plain s':>9}{'ours s':>9}  {'times as fast':<22}{'of peak':>8}  differs by"


def about(found: Measured, device: str) -> Iterator[str]:
    """What the figures are of."""
    yield f"{found.machine['device']}, {found.machine['threads']} threads"
    yield ", ".join(f"matrix product in {name}: {peak / 1e9:,.0f} GFLOP/s" for name, peak in found.peaks.items())
    if device == "cpu" and not has_bfloat16_units(device):
        yield "this processor has no bfloat16 matrix units (AMX): precision=auto is fp32, bf16 gains less"
    yield "absolute times differ between machines and with what else runs; the ratios of one run count"


def line_of(row: Row) -> str:
    """One way's line of the table."""
    peak = "" if row.share_of_peak is None else f"{100 * row.share_of_peak:.0f} %"
    differs = "" if row.difference is None else f"{row.difference:.1e}"
    times = f"{row.ratio:.2f} ({row.least:.2f} to {row.greatest:.2f})"
    return (
        f"{row.part:<46}{row.way:<16}{row.plain_seconds:>9.3f}{row.our_seconds:>9.3f}  {times:<22}{peak:>8}  {differs}"
    )


def stage_line(stage: StageTime) -> str:
    """One stage of the paper's run."""
    work = f"{stage.count:>12,.0f} x {stage.seconds_per_unit:8.3f} s for each {stage.unit}"
    return f"  {stage.name:<36}{work}: {stage.hours:8.1f} h"


def total_line(stages: Sequence[StageTime]) -> str:
    """All stages together, and what fewer steps of drawing would save."""
    total = sum(stage.hours for stage in stages)
    drawing = next(stage for stage in stages if stage.name.startswith("drawing"))
    fewer = drawing.hours * FEW_STEPS / 200
    return (
        f"  together {total:.1f} h; with sampler=dpmpp steps={FEW_STEPS} drawing takes {fewer:.1f} h in place of "
        f"{drawing.hours:.1f} h"
    )
