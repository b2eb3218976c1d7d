"""Random folders: reading ends in a dataset that holds exactly the image files that are there, or in one line."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl_aug.data.build import load_dataset
from ssl_aug.data.finding import is_foreign
from ssl_aug.data.formats import readable_suffixes
from ssl_aug.endings import error_line
from ssl_aug.settings import DataSettings

NAMES = st.one_of(
    st.sampled_from(
        ["train", "test", "val", "unlabeled", "CON", "null", ".hidden", "__MACOSX", "a b", "1.0", "x" * 240]
    ),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8),
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 240)
SUFFIXES = st.sampled_from([".png", ".PNG", ".jpeg", ".Jpg", ".tif", ".txt", ".svg", "", ".png.bak"])
KINDS = st.sampled_from(["file", "empty", "link", "broken", "loop"])
FILES = st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), NAMES, SUFFIXES, KINDS), max_size=10)


def build(root: Path, files: list[tuple[list[str], str, str, str]]) -> None:
    for folders, name, suffix, kind in files:
        path = root.joinpath(*folders, name + suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind in ("file", "empty"):
                path.write_bytes(b"" if kind == "empty" else b"content")
            else:
                path.symlink_to({"link": root.parent / "outside.png", "broken": root / "nowhere", "loop": root}[kind])
        except OSError:  # a file stands where a folder is wanted, or a name that this disk does not take
            continue


def image_files(folder: Path) -> set[Path]:
    """The slow, obvious way: each of the folder's files that is named like an image, without links to folders."""
    found = set()
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_foreign(name)]
        found |= {Path(parent, name) for name in names if not name.startswith(".")}
    return {path for path in found if path.name.lower().endswith(readable_suffixes()) and path.is_file()}


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(FILES, st.booleans())
def test_a_tree_is_read_whole_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[str], str, str, str]], has_two_classes: bool
) -> None:
    top = tmp_path_factory.mktemp("tree")
    root = top / "root"
    root.mkdir()
    (top / "outside.png").write_bytes(b"content")
    if has_two_classes:  # most random trees have not even that
        files = [(["train", name], "0", ".png", "file") for name in ("ant", "bee")] + files
    build(root, files)
    try:
        dataset = load_dataset(DataSettings(name="image_folder", root=str(root), labels_per_class=None))
    except (ValueError, OSError) as error:
        assert "\n" not in error_line(error)  # as the command line says it
    else:
        folder = root / "train" if (root / "train").is_dir() else root
        classes = {unicodedata.normalize("NFC", path.name) for path in folder.iterdir() if path.is_dir()}
        assert set(dataset.class_names) <= classes
        if all(kind != "loop" for *_, kind in files):
            inside = {path for path in image_files(folder) if path.parent != folder}
            assert set(dataset.train.paths) == inside
    finally:
        shutil.rmtree(top)
