"""The help page of `python -m benchmarks.run`, from the settings' own source. Imports nothing that it describes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.method_files import settings_fields
from benchmarks.settings import BenchmarkSettings
from ssl_aug.help import DATA_SETTINGS, fields_of, held_by, options_of, rows
from ssl_aug.help import SETTINGS as SHARED

OURS = Path(__file__).resolve().parent / "settings.py"


def help_text(settings: BenchmarkSettings | None = None) -> str:
    """The whole page.

    Args:
        settings: what other words beside --help ask for; the values are then those that hold with them, and the
            method's settings those of theirs.
    """
    options = {
        group: [name for name in options_of(group) if not name.startswith("for_")]
        for group in ("method", "data", "model", "experiment", "protocol")
    }
    held = None if settings is None else held_by(settings)
    method = None if held is None else held["method.name"]
    meaning = "their own defaults (a group or a recipe may set others)" if held is None else "as they hold"
    shared = [row for row in fields_of(SHARED, "Settings") if row[0] in ("seed", "device", "precision")]
    lines = [
        "python -m benchmarks.run [name=value ...]",
        "",
        "Trains one method on one few-label split, with or without its synthetic images, and writes a run folder.",
        "  --dry-run    print the settings and the numbers of images, write nothing",
        "  --multirun   every combination of comma lists: method=erm,fixmatch augment=false,true seed=0,1,2;",
        "               what is done is left as it is, what was stopped goes on",
        "  --help       beside other words: what holds with them, and the settings of their method",
        "",
        "Groups:",
        *(f"  {group}={'|'.join(names)}" for group, names in options.items()),
        "",
        f"Settings, {meaning}:",
        *rows("", fields_of(OURS, "BenchmarkSettings"), skip=("method", "protocol"), held=held),
        *rows("model.", fields_of(OURS, "ModelSettings"), held=held),
        *rows("train.", fields_of(OURS, "TrainSettings"), held=held),
        *rows("view.", fields_of(OURS, "ViewSettings"), held=held),
        *rows("mix.", fields_of(OURS, "MixSettings"), held=held),
        *rows("data.", fields_of(DATA_SETTINGS, "DataSettings"), skip=("name",), held=held),
        *rows("synthetic.", fields_of(SHARED, "SyntheticSettings"), held=held),
        *rows("", shared, held=held),
        "With augment=true the settings of ssl_aug.generate, too, say which synthetic set is meant. A finished set's",
        "synthetic.root=DIR says them all, and those of the data for augment=false as well.",
    ]
    for name in options["method"] if method is None else [method]:
        about = "its paper's defaults" if held is None else "as they hold"
        lines += ["", f"method={name}, {about}:", *rows("method.", settings_fields(name), held=held)]
    return "\n".join(lines)
