"""python -m ssl_aug.evaluate [name=value ...]

Measures synthetic images: share of the right class, distance to real images, diversity, near-copies. The set that the
settings name is drawn first where it is not there. With sweep=mask_rate (the paper's table 3), approach (table 1) or
tune_steps (figures 1 and 4), or several joined by +, it does so for each combination of values, with condition=image
unless told otherwise.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from generators.settings import MEASURES, decides, deciding
from ssl_aug.command_line import compose, overrides_of
from ssl_aug.data.build import load_split
from ssl_aug.generate import generate
from ssl_aug.help import fields_of, generation_rows, options_of, rows
from ssl_aug.ruler import FEATURES, Row, Ruler
from ssl_aug.runtime import command, placement, read_json, versions, write_json, written_atomically
from ssl_aug.settings import Settings, deciding_pictures, short_hash

FLAGS = {"--out": "out", "--device": "device", "--per-sample": "per_sample"}
SWITCHES = {"--dry-run": "dry_run"}
SWEEPS = ("mask_rate", "approach", "tune_steps")
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


@dataclass(frozen=True)
class EvaluateSettings(Settings):
    """What is measured, beside all that decides the synthetic set."""

    # mask_rate, approach or tune_steps, or several joined by +; null: one set
    sweep: str | None = field(default=None, metadata=decides(MEASURES))
    # of sweep=mask_rate
    mask_rates: list[float] = field(default_factory=lambda: [0.0, 0.3, 0.5, 0.7], metadata=decides(MEASURES))
    # of sweep=approach
    approaches: list[str] = field(default_factory=lambda: ["anl", "all", "scratch"], metadata=decides(MEASURES))
    # of sweep=tune_steps
    tune_steps: list[int] = field(default_factory=lambda: [500, 1000, 2000], metadata=decides(MEASURES))
    # what distances are measured in: the embedded classifier backbone, or clip
    features: str = field(default="backbone", metadata=decides(MEASURES))
    # of training the classifier that names the classes, on all labels of real images
    judge_steps: int = field(default=1500, metadata=decides(MEASURES))
    # folder for evaluation.json and .csv; null: derived, under outputs/evaluation
    out: str | None = field(default=None, metadata=decides())

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.swept if name not in SWEEPS]
        if unknown:
            raise ValueError(f"sweep={self.sweep}: choose of {', '.join(SWEEPS)}, joined by +")
        if self.features not in FEATURES:
            raise ValueError(f"features={self.features!r}: choose one of {', '.join(FEATURES)}")
        if self.judge_steps < 1:
            raise ValueError(f"judge_steps={self.judge_steps}: give 1 or more")
        if self.synthetic.root is not None and self.sweep is not None:
            raise ValueError("sweep draws several sets: leave synthetic.root out")
        if self.per_sample < 2:
            raise ValueError(f"per_sample={self.per_sample}: diversity within one reference needs 2 or more")

    @property
    def swept(self) -> tuple[str, ...]:
        return () if self.sweep is None else tuple(self.sweep.split("+"))


def evaluate(settings: EvaluateSettings) -> list[Row]:
    """One row of measures for the real images (the floor), and one for each set."""
    dataset, _ = load_split(settings.data)
    place = placement(settings.device, settings.precision)
    folder = Path(settings.out) if settings.out else default_folder(settings)
    chosen = list(variants(settings))  # a wrong value is an error before anything is drawn
    _refuse_other_evaluation(folder, settings)
    if settings.dry_run:
        for variant in chosen:
            print(name_of(variant, settings.swept))
            generate(variant)
        return []
    ruler = Ruler(dataset, settings.generator, settings.prompt, settings.features, settings.judge_steps, place)
    found: list[Row] = []
    for variant in chosen:
        synthetic = generate(variant)
        if synthetic is None:
            raise ValueError("several processes draw this set: run ssl_aug.generate to its end, then evaluate it alone")
        found.append({"set": name_of(variant, settings.swept), **ruler.measure(synthetic.first(variant.per_sample))})
    table = [ruler.floor(max(row["num_images"] for row in found)), *found]
    _write(folder, settings, ruler, table)
    print(render(table, ruler.title))
    print(f"written to {folder}")
    return table


def variants(settings: EvaluateSettings) -> Iterator[Settings]:
    """The settings of each set: every combination of the swept values, the last one fastest."""
    guidance, condition = settings.guidance, settings.condition
    if guidance is None and "approach" in settings.swept:  # a model from scratch has no null token: none is guided
        guidance = 1.0
    if settings.swept and condition is None and settings.mask_rate is None:  # the paper's tables
        condition = "image"
    values: dict[str, list[Any]] = {
        "mask_rate": settings.mask_rates,
        "approach": settings.approaches,
        "tune_steps": settings.tune_steps,
    }
    for chosen in itertools.product(*(values[name] for name in settings.swept)):
        of = dict(zip(settings.swept, chosen, strict=True))
        tune = replace(
            settings.tune,
            approach=of.get("approach", settings.tune.approach),
            steps=of.get("tune_steps", settings.tune.steps),
        )
        mask_rate = of.get("mask_rate", settings.mask_rate)
        yield replace(settings, sweep=None, tune=tune, mask_rate=mask_rate, guidance=guidance, condition=condition)


def name_of(variant: Settings, swept: tuple[str, ...]) -> str:
    """What tells this set from the others of its sweep."""
    words = {
        "mask_rate": f"mask {variant.sampling().mask_rate:g}",
        "approach": variant.tune.approach,
        "tune_steps": f"{variant.tune.steps} steps",
    }
    return ", ".join(words[name] for name in swept) or "synthetic"


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
    card = folder / "evaluation.json"
    if card.is_file() and not _agree(read_json(card)["settings"], _identity(settings)):
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


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        groups = [f"  {group}={'|'.join(options_of(group))}" for group in ("data", "generator", "experiment")]
        own = rows("", fields_of(Path(__file__), "EvaluateSettings"))
        print("\n".join([(__doc__ or "").strip(), "", "Groups:", *groups, "", "Settings:", *own, *generation_rows()]))
        return
    evaluate(compose("evaluate", overrides_of(arguments, FLAGS, SWITCHES), EvaluateSettings))


if __name__ == "__main__":
    command(main)
