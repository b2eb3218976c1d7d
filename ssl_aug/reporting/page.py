"""The page: a template filled in, with everything in it, and a policy under which nothing can leave it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ssl_aug.reporting.evaluations import Evaluation
from ssl_aug.reporting.findings import FLAGS, LOW_SHARE, Finding
from ssl_aug.reporting.pairs import Pair
from ssl_aug.reporting.runs import Accuracies
from ssl_aug.reporting.sheets import COLUMNS, ROWS, Sheets
from ssl_aug.reporting.tuning_log import TuningLog
from ssl_aug.reporting.views import ClassView, Picture

HERE = Path(__file__).parent
MARK = '<meta name="generator" content="ssl_aug.report {identity}">'  # by which a later report knows an earlier one
SHOWN_PX = {192: 128, 128: 112, 96: 96, 64: 84, 48: 64, 32: 64}  # a thumbnail's side in the page, by its own
HEAD_BYTES = 2000  # of a page, in which the mark stands


@dataclass(frozen=True)
class Page:
    """All that the page shows, in the order in which it does."""

    identity: str  # of the set, 8 hex digits
    title: str
    summary: str
    notices: tuple[str, ...]
    tiles: tuple[tuple[str, str], ...]  # a figure and what it is
    glance: tuple[tuple[str, str, Picture, Picture], ...]  # of some classes: id, name, labeled image, drawing
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]  # what was looked for
    accuracies: Accuracies
    evaluations: tuple[Evaluation, ...]
    pairs: tuple[Pair, ...]  # drawings nearest to a tuning image
    tuning: TuningLog | None
    commands: tuple[tuple[str, str], ...]  # what it makes, and the line
    next_runs: tuple[tuple[str, str], ...]  # what to run for accuracies that are not there yet
    next_evaluation: tuple[tuple[str, str], ...]
    why_unlabeled: str | None  # the setting by which its images show no class
    settings: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    classes: tuple[ClassView, ...]
    pictures: tuple[Picture, ...]  # of the drawings, by their numbers
    side_px: int  # of the drawings, in which boxes are counted
    has_scores: bool
    has_boxes: bool
    has_lenders: bool
    facts: list[list[Any]]  # of the drawings, for the script
    sheets: Sheets


def render(page: Page) -> str:
    """The HTML. Whatever comes from files is escaped, in text, in attributes and in the script's data."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "\n".join([(HERE / "page.css").read_text(encoding="utf-8"), *_rules(page.sheets)])
    script = (HERE / "page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("page.html").render(
        page=page,
        mark=Markup(MARK.format(identity=page.identity)),
        policy=Markup(policy),
        style=Markup(style),
        script=Markup(script),
        flags=FLAGS,
        present=[flag for flag in FLAGS if any(each.facts.flags.get(flag) for each in page.classes)],
        low_below=LOW_SHARE,
        ids={each.facts.label: each.id for each in page.classes},
        names={each.facts.label: each.name for each in page.classes},
    )


def _rules(sheets: Sheets) -> list[str]:
    """The style rules that put a thumbnail's part of its sheet behind an element."""
    places = [f".x{column}{{--x:{column}}}" for column in range(COLUMNS)]
    places += [f".y{row}{{--y:{row}}}" for row in range(ROWS)]
    shown = SHOWN_PX[sheets.size_px]
    pictures = [f".s{number}{{background-image:url({uri})}}" for number, uri in enumerate(sheets.uris)]
    return [f":root{{--cell:{shown}px}}", *places, *pictures]


def _source(text: str) -> str:
    """What a policy calls an inline style or script: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def identity_in(path: Path) -> str | None:
    """The set that a page in a file is a report of; None where it is none of ours."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).decode(errors="replace")
    start, _, end = MARK.partition("{identity}")
    before, found, after = head.partition(start)
    return after.partition(end)[0] if found and before.lstrip().lower().startswith("<!doctype html>") else None
