"""Opens what Hugging Face `datasets` saved: which splits and columns there are, and their rows one after the other.

Nothing is fetched, and no code that lies beside the data is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from generators.files import is_pointer
from ssl_aug.data import hf_library
from ssl_aug.data.finding import files_below, some
from ssl_aug.data.hf_columns import IMAGE, Column, columns_of, image_column, label_column
from ssl_aug.data.hf_export import Saved, SavedSplit, of_export
from ssl_aug.data.hf_labels import no_rows
from ssl_aug.data.layout import SAVED_BY_DATASETS, SPLITS, WAY_OUT
from ssl_aug.files import read_json

LAYOUT = "what Hugging Face datasets saved (save_to_disk), or a dataset of the hub (parquet files, an imagefolder)"
PART_OF = {**{name: part for name, part in SPLITS.items() if name}, "labeled": "train", "dev": "validation"}
SIZE_OF_POINTER = 1024  # bytes, at most
ROWS_AT_ONCE = 16  # of a parquet file


def opened(root: Path, image: str | None, label: str | None) -> Saved:
    """The splits of a folder.

    Args:
        image, label: the columns; None: the one that can be nothing else.

    Raises:
        ValueError: no such folder, no such column or several that fit, no training images, or no `datasets` here.
    """
    if hf_library.is_export(root):
        return of_export(root, image, label)
    library = hf_library.library()
    _refuse_pointers(root)
    if any((root / name).is_file() for name in SAVED_BY_DATASETS):
        _refuse_empty(root)
        rows = _in_one_line(root, lambda: _on_disk(library, root))
    else:
        _refuse_addresses(root)
        rows = _in_one_line(root, lambda: _in_files(library, root))
    parts: dict[str, str] = {}
    for name in rows:
        part = PART_OF.get(name.lower())
        if part is not None and parts.setdefault(part, name) != name:
            raise ValueError(f"{root}: the splits {parts[part]} and {name} are both {part} images: keep one of them")
    if "train" not in parts:
        raise ValueError(
            f"{root}: none of its splits ({', '.join(rows)}) holds training images: name one of them train"
        )
    train = rows[parts["train"]].columns
    image, label = image_column(root, train, image), label_column(root, train, label)
    splits = [_split(library, root, rows[name], part, image, label) for part, name in parts.items()]
    others = [name for name in rows if name not in parts.values()]
    notes = [f"warning: left out the splits {some(others)}: none of {', '.join(PART_OF)}"] if others else []
    return Saved(tuple(splits), tuple(notes))


# ---------------------------------------------------------------------------------------------------------------------
# rows as they are saved


@dataclass(frozen=True)
class _Rows:
    """A split as the library gives it."""

    name: str
    columns: Mapping[str, Column]
    table: Any  # datasets.Dataset or IterableDataset
    parquet: tuple[str, ...] = ()  # the files, where they are such ones: read a few rows at once, column by column

    def values(self, column: str) -> Iterator[Any]:
        """One column, row by row."""
        if not self.parquet:
            for row in self.table.select_columns([column]):
                yield row[column]
            return
        from pyarrow.parquet import ParquetFile

        for path in self.parquet:
            with ParquetFile(path, pre_buffer=False, buffer_size=2**16) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
                    yield from batch.column(0).to_pylist() if batch.num_columns else [None] * batch.num_rows


def _split(library: ModuleType, root: Path, rows: _Rows, part: str, image: str, label: str) -> SavedSplit:
    needed = (image,) if part == "unlabeled" else (image, label)
    missing = next((name for name in needed if name not in rows.columns), None)
    if missing is not None:
        raise ValueError(f"{root}: the split {rows.name} has no column {missing}, which the training images have")
    table = rows.table.with_format(None)
    if rows.columns[image].kind == IMAGE:
        table = table.cast_column(image, library.Image(decode=False))
    rows = _Rows(rows.name, rows.columns, table, rows.parquet)
    counted = label if label in rows.columns else image
    names = None if part == "unlabeled" else rows.columns[label].names
    return SavedSplit(
        rows.name, part, names, lambda: _each(root, rows, counted), lambda: _each(root, rows, image)
    )  # fmt: skip


def _each(root: Path, rows: _Rows, column: str) -> Iterator[Any]:
    """A column; what the library stumbles on is said in one line."""
    try:
        yield from rows.values(column)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{root}: the split {rows.name} cannot be read ({_reason(error)}): copy it again") from error


def _on_disk(library: ModuleType, root: Path) -> dict[str, _Rows]:
    """What save_to_disk wrote; a single dataset is the training images."""
    found = library.load_from_disk(str(root), keep_in_memory=False)
    tables = found if isinstance(found, library.DatasetDict) else {"train": found}
    return {str(name): _Rows(str(name), columns_of(library, table.features), table) for name, table in tables.items()}


def _in_files(library: ModuleType, root: Path) -> dict[str, _Rows]:
    """What lies there as on the hub."""
    with TemporaryDirectory() as locks:
        builder = library.load_dataset_builder(str(root), cache_dir=locks)
        tables = builder.as_streaming_dataset()
    files = {str(split): tuple(map(str, paths)) for split, paths in (builder.config.data_files or {}).items()}
    packed = next((path for paths in files.values() for path in paths if path.endswith(".zip")), None)
    if packed is not None:  # its images would be given the labels of the folder around it
        raise ValueError(f"{packed} is an archive: unpack it")
    found = {}
    for name, table in tables.items():
        own = files.get(str(name), ())
        parquet = own if all(path.endswith(".parquet") for path in own) else ()
        found[str(name)] = _Rows(str(name), columns_of(library, table.features or {}), table, parquet)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# errors


def _refuse_pointers(root: Path) -> None:
    """A dataset of the hub is cloned without its large files where Git LFS is not installed."""
    small = (path for path in files_below(root)[0] if path.is_file() and path.stat().st_size < SIZE_OF_POINTER)
    pointer = next((path for path in small if is_pointer(path)), None)
    if pointer is not None:
        raise ValueError(f"{pointer} is a Git LFS pointer, not the data: run git lfs pull in its folder")


def _refuse_empty(root: Path) -> None:
    """The library stumbles on a split that was saved without a file."""
    for path in (root / "state.json", *sorted(root.glob("*/state.json"))):
        if path.is_file() and not read_json(path).get("_data_files"):
            raise ValueError(no_rows(root, path.parent.name))


def _refuse_addresses(root: Path) -> None:
    """A dataset card may name files elsewhere, which the library would fetch."""
    from huggingface_hub import metadata_load

    card = root / "README.md"
    found = _in_one_line(root, lambda: metadata_load(card)) if card.is_file() else None
    text = json.dumps((found or {}).get("configs"), default=str)
    if "://" in text:
        raise ValueError(f"{card} names files that lie elsewhere, and nothing is fetched here: download the dataset")


def _in_one_line(root: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except MemoryError:
        raise
    except Exception as error:  # whatever the library stumbles on
        hint = " (it reads no folder with [ in its name)" if "[" in str(root.resolve()) else ""
        if "Config name is missing" in str(error):
            hint = " (where each lies in a folder of its own, name that one)"
        raise ValueError(
            f"data.root={root} cannot be opened: {_reason(error)}{hint}; expected {LAYOUT}; {WAY_OUT}"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).partition("Example of usage")[0].split()) or error.__class__.__name__
