"""Which columns of a saved dataset hold the images and the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ssl_aug.data.finding import some

IMAGE, BYTES, CLASSES, LABELS, OTHER = "images", "bytes", "classes", "names or numbers", "something else"
LABEL_NAMES = (  # of columns without named classes, as public datasets call them
    "label", "labels", "class", "class_label", "class_name", "label_name", "target", "category", "fine_label",
    "coarse_label", "species",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """What a column holds."""

    kind: str  # IMAGE, BYTES, CLASSES, LABELS or OTHER
    names: tuple[str, ...] | None = None  # of CLASSES, in the order of their indices


def columns_of(library: ModuleType, features: Mapping[str, Any]) -> dict[str, Column]:
    """The columns by their features.

    Args:
        library: `datasets`.
    """
    return {str(name): _column(library, feature) for name, feature in features.items()}


def _column(library: ModuleType, feature: Any) -> Column:
    if isinstance(feature, library.Image):
        return Column(IMAGE)
    if isinstance(feature, library.ClassLabel):
        return Column(CLASSES, tuple(feature.names))
    if isinstance(feature, library.Value):
        dtype = str(feature.dtype)
        if dtype.endswith("binary"):
            return Column(BYTES)
        is_label = dtype.startswith(("int", "uint", "float", "bool", "null")) or dtype.endswith("string")
        return Column(LABELS if is_label else OTHER)
    if isinstance(feature, dict) and feature.keys() == {"bytes", "path"}:  # written by another program
        return Column(BYTES)
    return Column(OTHER)


def image_column(root: object, columns: Mapping[str, Column], asked: str | None) -> str:
    """The column of the images: the one asked for, or the only one.

    Raises:
        ValueError: there is none, or several, or the one asked for holds no images.
    """
    images = [name for name, column in columns.items() if column.kind == IMAGE]
    fitting = images or [name for name, column in columns.items() if column.kind == BYTES]
    allowed = (IMAGE, BYTES)
    return _chosen(root, columns, "image", asked, fitting, allowed)


def label_column(root: object, columns: Mapping[str, Column], asked: str | None) -> str:
    """The column of the labels: the one asked for, or the only one with named classes or a usual name.

    Raises:
        ValueError: there is none, or several, or the one asked for holds no labels.
    """
    fitting = [
        name
        for name, column in columns.items()
        if column.kind == CLASSES or (column.kind == LABELS and name.lower() in LABEL_NAMES)
    ]
    return _chosen(root, columns, "label", asked, fitting, (CLASSES, LABELS))


def _chosen(
    root: object,
    columns: Mapping[str, Column],
    what: str,
    asked: str | None,
    fitting: list[str],
    allowed: tuple[str, ...],
) -> str:
    setting = f"data.{what}_column"
    told = ", ".join(f"{name} ({column.kind})" for name, column in columns.items()) or "not said by its files"
    if asked is not None:
        if asked not in columns:
            raise ValueError(f"{setting}={asked}: {root} has no such column, its columns are {told}")
        if columns[asked].kind not in allowed:
            raise ValueError(f"{setting}={asked}: this column of {root} holds no {what}s, its columns are {told}")
        return asked
    if not fitting:
        way_out = f"name one with {setting}=COLUMN" if what == "label" else "save them in a column of the type Image"
        raise ValueError(f"{root}: no column is known to hold {what}s, its columns are {told}: {way_out}")
    if len(fitting) > 1:
        raise ValueError(
            f"{root}: {len(fitting)} columns may hold the {what}s, {some(fitting)}: choose one, {setting}={fitting[0]}"
        )
    return fitting[0]
