"""What a report is of. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass

from generators.allowed import PathText
from ssl_aug.settings import Settings

RUNS = "outputs/runs"
EVALUATIONS = "outputs/evaluation"


@dataclass(frozen=True)
class ReportSettings(Settings):
    """Where a report's parts lie, beside all that names the synthetic set."""

    out: PathText | None = None  # the page; null: report.html in the set's folder
    runs: PathText | None = None  # folder of trained classifiers; null: outputs/runs, where there is one
    # folder of one evaluation, taken as it is; null: those of this set in outputs/evaluation
    evaluation: PathText | None = None
