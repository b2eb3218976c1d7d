"""The measures of a set that `ssl_aug.evaluate` wrote down, as a table of words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ssl_aug.records import read_record
from ssl_aug.reporting.subject import Subject
from ssl_aug.settings import flat
from ssl_aug.synthetic import PLACES

NAME = "evaluation.json"
KINDS = {"settings": (dict,), "rows": (list,), "title": (str,), "notes": (list,)}
OF_OTHERS = "By its settings this evaluation is of other sets than this one."
WAY_OUT = "take it away, or measure the set again with python -m ssl_aug.evaluate"
BESIDE = ("_low", "_high", "_error", "_std")  # how a figure's interval and error are called, which stand in its cell
NO_FIGURES = ("set", "why", "size_px")
SHARES = ("class_share", "near_copy_rate", "paint_share")  # written from 0 to 1, read in percent
HEADERS = {
    "num_images": "images",
    "class_share": "right class %",
    "frechet_distance": "Fréchet distance",
    "kernel_distance": "kernel distance x1000",
    "inception_score": "inception score",
    "precision": "precision",
    "recall": "recall",
    "diversity": "diversity",
    "near_copy_rate": "near-copies %",
    "paint_share": "paint %",
}
# of a set's record: facts of this very set, which an evaluation's settings do not hold
OF_ONE_SET = ("labeled_set_id", "class_names", "num_images", "versions", PLACES, "batch_size", "imported", "made_by")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: a header, which names the sets, and a row of words for each measure."""

    folder: Path
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]  # on figures that are not there


def read_evaluations(folder: Path, subject: Subject) -> list[Evaluation]:
    """The evaluations of a set beneath a folder; damaged ones, whose set cannot be told, are passed over."""
    found = []
    for path in sorted(folder.glob(f"*/{NAME}")):
        with suppress(ValueError):
            content = _content(path)
            if is_of(content["settings"], subject):
                found.append(_table(path.parent, content))
    return found


def read_evaluation(folder: Path, subject: Subject) -> Evaluation:
    """The evaluation in a folder, whatever set it is of; of another one, a note says so.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"--evaluation {folder}: there is no {NAME} in it; python -m ssl_aug.evaluate writes one"
        )
    content = _content(path)
    found = _table(folder, content)
    return found if is_of(content["settings"], subject) else replace(found, notes=(OF_OTHERS, *found.notes))


def _content(path: Path) -> dict[str, Any]:
    content = read_record(path, KINDS, WAY_OUT, ["settings", "rows"])
    if not all(isinstance(row, dict) and isinstance(row.get("why", {}), dict) for row in content["rows"]):
        raise ValueError(f"{path}: rows holds something else than rows: {WAY_OUT}")
    return content


def is_of(settings: Mapping[str, Any], subject: Subject) -> bool:
    """Whether an evaluation of these settings measured this set: by the set's folder, or else by all that drew it."""
    said = flat(dict(settings))
    root = said.get("synthetic.root")
    if root is not None:
        return Path(root).resolve() == subject.folder.resolve()
    of_several = any(said.get(name) is not None for name in ("sweep", "table", "figure"))
    if of_several or said.get("conditions") not in (None, "labeled") or subject.record.get("imported"):
        return False
    data, drawn_of = said.get("data.root"), subject.record.get(PLACES, {}).get("data.root")
    if data is not None and drawn_of is not None and Path(data).resolve() != Path(drawn_of).resolve():
        return False
    drawn = flat({name: value for name, value in subject.record.items() if name not in OF_ONE_SET})
    return "data.name" in said and all(said[name] == value for name, value in drawn.items() if name in said)


def _table(folder: Path, content: Mapping[str, Any]) -> Evaluation:
    rows = content["rows"]
    named = dict.fromkeys(key for row in rows for key in (*row, *row.get("why", {})))
    present = [key for key in named if key not in NO_FIGURES and not key.endswith(BESIDE)]
    keys = [*(key for key in HEADERS if key in present), *(key for key in present if key not in HEADERS)]
    header = ("", *(str(row.get("set", "")) for row in rows))
    cells = tuple((HEADERS.get(key, key.replace("_", " ")), *(_cell(row, key) for row in rows)) for key in keys)
    return Evaluation(folder, content.get("title", ""), header, cells, tuple(map(str, content.get("notes", ()))))


def _cell(row: Mapping[str, Any], key: str) -> str:
    """A figure with its interval or error, or why there is none."""
    if row.get(key) is None:
        return str(row.get("why", {}).get(key, "-"))
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    error = row.get(f"{key}_error", row.get(f"{key}_std"))
    interval = "" if low is None or high is None else f" [{_figure(key, low)}, {_figure(key, high)}]"
    return _figure(key, row[key]) + interval + ("" if error is None else f" ± {_figure(key, error)}")


def _figure(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if key in SHARES:
        return f"{100 * value:.1f}"
    return str(value) if isinstance(value, int) else f"{value:.3g}"
