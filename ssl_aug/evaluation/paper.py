"""The paper's tables 1 and 3 and its figures 1 and 4: which sets they are of, and its own figures beside ours.

Source: "Transferring Pretrained Diffusion Probabilistic Models", table 1 (FID after 60,000 steps of tuning), table 3
(StanfordCars after 4,000 steps), figures 1 and 4 (500 to 4,000 steps).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ssl_aug.evaluation.rows import Measured
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.table_text import aligned, cell, titles

FD, IS = "frechet_distance", "inception_score"
ROWS = {"scratch": "ScratchDiff", "all": "Tuning-All", "anl_unconditional": "ANL, unconditional", "anl": "ANL"}
FAILED = "failed"
# dataset -> approach -> FID of the full training set (CelebA: 10,000 images) and of 1,000 images
TABLE_1: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "celeba": {
        "scratch": ("46.97", FAILED), "all": ("17.88", "24.60"), "anl_unconditional": ("12.77", "15.30"),
        "anl": ("8.76", "14.34"),
    },
    "flowers102": {
        "scratch": (FAILED, FAILED), "all": ("15.75", "29.79"), "anl_unconditional": ("12.31", "22.43"),
        "anl": ("9.97", "21.87"),
    },
    "stanford_cars": {
        "scratch": (FAILED, FAILED), "all": ("13.30", "29.54"), "anl_unconditional": ("16.89", "22.76"),
        "anl": ("11.15", "15.70"),
    },
}  # fmt: skip
MASK_RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
TABLE_3: Mapping[str, Sequence[str]] = {
    IS: ("3.18", "3.14", "3.10", "3.18", "3.25", "3.46", "3.56", "3.87", "4.12", "4.21"),
    FD: ("22.74", "23.23", "22.96", "24.08", "25.08", "27.28", "35.08", "44.20", "55.86", "68.38"),
}
STEPS = {"table 1": [60_000], "table 3": [4_000], "figure 1": [*range(500, 4_001, 500)]}
SMALL_STEPS = {"table 1": [50], "table 3": [100], "figure 1": [50, 100, 150, 200]}  # minutes on two CPU cores
SMALL_IMAGES, SMALL_SUBSET = 288, 300
SUBSET, FULL_OF_CELEBA = 1_000, 10_000


@dataclass(frozen=True)
class Cell:
    """A set of a table, where it stands, and what the paper has there."""

    row: str
    column: str
    settings: EvaluateSettings
    published: Mapping[str, str] = field(default_factory=dict)  # by measure

    @property
    def name(self) -> str:
        return f"{self.row}, {self.column}" if self.column else self.row


def cells(settings: EvaluateSettings) -> list[Cell]:
    """The sets of the table or figure that is asked for, row after row.

    Raises:
        ValueError: a table of several numbers of steps, or a setting that does not go with an approach.
    """
    of = settings.of_paper or ""
    known = "figure 1" if settings.figure else of
    steps = settings.tune_steps or (SMALL_STEPS if settings.is_small else STEPS)[known]
    if settings.table and len(steps) != 1:
        raise ValueError(f"tune_steps={steps}: {of} is of one number of steps, give one in brackets")
    if settings.table == "1":
        return _table_1(settings, steps[0])
    if settings.table == "3":
        rates = settings.mask_rates or list(MASK_RATES)
        return [_mask_rate(settings, rate, steps[0]) for rate in rates]
    approaches = settings.approaches or ["all", "anl"]
    return [
        Cell(f"{count} steps", ROWS.get(approach, approach), _variant(settings, approach, count, settings.data.subset))
        for count in steps
        for approach in approaches
    ]


def _table_1(settings: EvaluateSettings, steps: int) -> list[Cell]:
    full = FULL_OF_CELEBA if settings.data.name == "celeba" else None
    part = settings.data.subset or (SMALL_SUBSET if settings.is_small else SUBSET)
    published = TABLE_1[settings.data.name if settings.data.name in TABLE_1 else "stanford_cars"]
    found = []
    for approach in settings.approaches or list(ROWS):
        for place, subset in enumerate((full, part)):
            column = "all images" if subset is None else f"{subset} images"
            figures = {FD: published[approach][place]} if approach in published else {}
            variant = _variant(settings, approach, steps, subset)
            found.append(Cell(ROWS.get(approach, approach), column, variant, figures))
    return found


def _mask_rate(settings: EvaluateSettings, rate: float, steps: int) -> Cell:
    variant = _variant(settings, settings.tune.approach, steps, settings.data.subset, rate)
    figures = {key: values[MASK_RATES.index(rate)] for key, values in TABLE_3.items() if rate in MASK_RATES}
    return Cell(f"mask {100 * rate:.0f} %", "", variant, figures)


def _variant(
    settings: EvaluateSettings, approach: str, steps: int, subset: int | None, mask_rate: float = 0.0
) -> EvaluateSettings:
    """The settings of one set: no guidance, the image itself as the condition, as in the paper."""
    rank = settings.tune.rank if approach == settings.tune.approach else None
    return replace(
        settings,
        table=None,
        figure=None,
        features=settings.measured_in,
        conditions=settings.drawn_from,
        num_images=settings.num_images or (SMALL_IMAGES if settings.is_small else None),
        data=replace(settings.data, subset=subset),
        tune=replace(settings.tune, approach=approach, rank=rank, steps=steps),
        guidance=1.0 if settings.guidance is None else settings.guidance,
        condition=settings.condition or "image",
        mask_rate=mask_rate,
    )


def in_paper_form(
    settings: EvaluateSettings, of_cells: Sequence[Cell], measured: Sequence[Measured], real: Sequence[Measured],
    features: str,
) -> str:  # fmt: skip
    """The table as the paper has it, its own figures beside ours.

    Args:
        measured: each cell's row.
        real: rows of real test images.
    """
    keys, named = ((IS, FD) if settings.table == "3" else (FD,)), titles(features)
    columns = list(dict.fromkeys(one.column for one in of_cells))
    at = {(one.row, one.column): (one, found) for one, found in zip(of_cells, measured, strict=True)}
    header = [settings.of_paper or ""]
    for column in columns:
        for key in keys:
            header.append(f"{named[key]} {column}".strip())
            if any(one.published for one in of_cells):
                header.append("paper")
    lines = [header]
    for row in dict.fromkeys(one.row for one in of_cells):
        cells_of_row = []
        for column in columns:
            one, found = at[row, column]
            for key in keys:
                cells_of_row.append(cell(found.row, key))
                if "paper" in header:
                    cells_of_row.append(one.published.get(key, "-"))
        lines.append([row, *cells_of_row])
    for one_real in real:
        figures = [text for key in keys for text in (cell(one_real.row, key), *(["-"] if "paper" in header else []))]
        lines.append([f"real test images ({one_real.row['num_images']})", *figures * len(columns)])
    return "\n".join([aligned(lines), source_of(settings, measured[0].row["num_images"], features)])


def source_of(settings: EvaluateSettings, num_images: int, features: str) -> str:
    """Where the paper's figures are from, and how ours differ."""
    data = settings.data.name if settings.table == "1" and settings.data.name in TABLE_1 else "stanford_cars"
    is_same = data == settings.data.name and not features
    of = f'{settings.of_paper} of the paper "Transferring Pretrained Diffusion Probabilistic Models"'
    ours = f"ours: {settings.data.name}, {num_images} drawings from {settings.drawn_from} images"
    if is_same:
        return f"paper: {of}; {ours}"
    return f"paper: {of} ({data}, FID); {ours}, {titles(features)[FD]}: compare the order of rows, never the values"
