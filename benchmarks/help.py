"""The help page of `python -m benchmarks.run`, from the settings' own source. Imports nothing that it describes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.method_files import settings_fields
from ssl_aug.help import SETTINGS as SHARED
from ssl_aug.help import fields_of, options_of, rows

OURS = Path(__file__).resolve().parent / "settings.py"


def help_text() -> str:
    """The whole page."""
    options = {
        group: [name for name in options_of(group) if not name.startswith("for_")]
        for group in ("method", "data", "model", "experiment", "protocol")
    }
    shared = [row for row in fields_of(SHARED, "Settings") if row[0] in ("seed", "device", "precision")]
    lines = [
        "python -m benchmarks.run [name=value ...]",
        "",
        "Trains one method on one few-label split, with or without its synthetic images, and writes a run folder.",
        "  --dry-run    print the settings and the numbers of images, write nothing",
        "  --multirun   every combination of comma lists: method=erm,fixmatch augment=false,true seed=0,1,2;",
        "               what is done is left as it is, what was stopped goes on",
        "",
        "Groups:",
        *(f"  {group}={'|'.join(names)}" for group, names in options.items()),
        "",
        "Settings, their own defaults (a group or a recipe may set others: --dry-run shows what holds):",
        *rows("", fields_of(OURS, "BenchmarkSettings"), skip=("method", "protocol")),
        *rows("model.", fields_of(OURS, "ModelSettings")),
        *rows("train.", fields_of(OURS, "TrainSettings")),
        *rows("view.", fields_of(OURS, "ViewSettings")),
        *rows("mix.", fields_of(OURS, "MixSettings")),
        *rows("data.", fields_of(SHARED, "DataSettings"), skip=("name",)),
        *rows("synthetic.", fields_of(SHARED, "SyntheticSettings")),
        *rows("", shared),
        "With augment=true the settings of ssl_aug.generate, too, say which synthetic set is meant. A finished set's",
        "synthetic.root=DIR says them all, and those of the data for augment=false as well.",
    ]
    for name in options["method"]:
        lines += ["", f"method={name}, its paper's defaults:", *rows("method.", settings_fields(name))]
    return "\n".join(lines)
