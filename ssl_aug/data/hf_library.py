"""Whether Hugging Face `datasets` is here, in a version that runs no code of a dataset's own."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from ssl_aug.data.settings import DataSettings
from ssl_aug.runtime import cache_folder

INSTALL = "pip install 'ssl_aug[hf]'"
LEAST_VERSION = 4  # since then it runs no scripts


def refuse_at_once(data: DataSettings) -> None:
    """Says that the library is missing where it will surely be needed, before torch and all else is loaded.

    Raises:
        ValueError: it is not installed, or too old.
    """
    root = Path(data.root or "").expanduser()
    if data.name != "hf" or not data.root or not root.is_dir() or is_export(root):
        return
    if not any(cache_folder().glob("hf-*")):  # else the images may be there already
        _require_version()


def is_export(root: Path) -> bool:
    """Whether a folder was written by `ssl_aug.export`, which is read without the library."""
    return all((root / name).is_file() for name in ("export.json", "classes.json"))


def library() -> ModuleType:
    """The module `datasets`.

    Raises:
        ValueError: it is not installed, too old, or another thing of that name stands in its place.
    """
    _require_version()
    try:
        import datasets
        from datasets import load_dataset_builder  # noqa: F401  # a folder of that name where we work has none
    except ImportError as error:
        raise ValueError(
            f"data=hf needs the library datasets, which cannot be imported ({error}): rename what stands in its place, "
            f"or {INSTALL}"
        ) from error
    found: ModuleType = datasets
    return found


def _require_version() -> None:
    try:
        there = version("datasets")
    except PackageNotFoundError as error:
        raise ValueError(f"data=hf needs the library datasets: {INSTALL}") from error
    if int(there.partition(".")[0]) < LEAST_VERSION:
        raise ValueError(f"data=hf needs datasets {LEAST_VERSION} or later, {there} is installed: {INSTALL}")
