"""Any user's own images: `train/<class>/...` and, where they are there, `test/<class>/...`, `val/<class>/...` and
`unlabeled/...`. Without `train/` the folders of the root are the classes.

Class indices and file order are those of `torchvision.datasets.ImageFolder`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.finding import (
    Found,
    folders_in,
    images_in,
    look_below,
    notes_on,
    require_own_keys,
    require_utf8,
    some,
    together,
    told_no_files,
)
from ssl_aug.data.formats import told_unreadable
from ssl_aug.data.layout import SAVED_BY_DATASETS, VALIDATION, WAY_OUT, data_root
from ssl_aug.settings import DataSettings

LAYOUT = "train/<class>/*.jpg and, if you like, test/<class>/*.jpg, val/<class>/*.jpg and unlabeled/*.jpg"
OTHER_DATASETS = {  # what only their folders hold
    "stanford_cars": ("stanford_cars", "cars_train", "devkit"),
    "flowers102": ("flowers-102", "setid.mat"),
    "celeba": ("celeba", "img_align_celeba", "list_attr_celeba.txt"),
}


def load(settings: DataSettings) -> Dataset:
    """The dataset of the folder `data.root`; images in `unlabeled/` join the unlabeled set.

    Raises:
        FileNotFoundError: the folder, its class folders or the images of a class are missing.
        ValueError: a single class, parts with other classes, a name that is not UTF-8, or two images with one key.
    """
    root = data_root(settings, LAYOUT)
    folder = _training_folder(root)
    class_names, found = _class_names(folder)
    if len(class_names) == 1:
        raise ValueError(_why_one_class(folder, class_names[0]))
    of_folders, of_train = _labeled(folder, class_names)
    class_names = tuple(_composed(name) for name in class_names)  # as a Mac's copy need not be
    train = LabeledSet(of_folders.examples, class_names)
    require_own_keys(train)
    parts, looked = {}, [found, of_train]
    for part in ("test", *VALIDATION):
        if folder != root and (root / part).is_dir():
            parts[part], of_part = _part(root / part, class_names, is_whole=part == "test")
            looked.append(of_part)
    validation = [part for part in VALIDATION if part in parts]
    if len(validation) > 1:
        raise ValueError(f"{root}: {' and '.join(validation)} are both there: keep one folder of validation images")
    unlabeled = look_below(root / "unlabeled") if folder != root and (root / "unlabeled").is_dir() else Found()
    loose = images_in(folder)
    notes = [f"warning: {len(loose)} images lie in {folder} in no class folder: left out"] if loose else []
    return Dataset(
        "image_folder",
        train,
        parts.get("test", LabeledSet((), class_names)),
        unlabeled.images,
        parts[validation[0]] if validation else None,
        (*notes, *notes_on(together([*looked, unlabeled]))),
    )


# ---------------------------------------------------------------------------------------------------------------------
# where the classes are


def _training_folder(root: Path) -> Path:
    """`train/`, or the root itself where its folders are the classes."""
    if any((root / name).is_file() for name in SAVED_BY_DATASETS):
        raise ValueError(f"data.root={root} was saved by Hugging Face datasets: use data=hf")
    if (root / "train").is_dir():
        return root / "train"
    for name, marks in OTHER_DATASETS.items():
        mark = next((mark for mark in marks if (root / mark).exists()), None)
        if mark:
            raise ValueError(f"data.root={root} holds {mark} and no train/: it is another dataset, use data={name}")
    inner, _ = folders_in(root)
    deeper = next((each for each in inner if (each / "train").is_dir()), None)
    if deeper:
        raise FileNotFoundError(
            f"{root / 'train'}: there is no such folder, but {deeper / 'train'} is: did you mean data.root={deeper}?"
        )
    other = next((each for each in inner if each.name.lower() in ("train", "training")), None)
    if other:
        raise FileNotFoundError(f"{root / 'train'}: there is no such folder, but {other} is: rename it to train")
    has_parts = any(each.name.lower() in ("test", *VALIDATION, "unlabeled") for each in inner)
    if has_parts or not (inner or images_in(root)):
        raise FileNotFoundError(
            f"{root / 'train'}: there is no such folder; expected {LAYOUT} in {root}; {WAY_OUT}"
        )  # fmt: skip
    return root


def _class_names(folder: Path) -> tuple[tuple[str, ...], Found]:
    folders, foreign = folders_in(folder)
    if not folders:
        loose = len(images_in(folder))
        holds = f"holds {loose} images and no class folders" if loose else "holds no class folders"
        raise FileNotFoundError(
            f"{folder} {holds}: expected {LAYOUT}; "
            f"put the images of each class into a folder with its name, or {WAY_OUT}"
        )
    names = [each.name for each in folders]
    for each in folders:
        require_utf8(each)
    composed: dict[str, str] = {}
    for name in names:
        other = composed.setdefault(_composed(name), name)
        if other != name:
            raise ValueError(
                f"{folder} holds two class folders {name!r}, the same letters written as other bytes (one from a Mac): "
                "put their images into one"
            )
    return tuple(names), Found(foreign=tuple(foreign))


def _why_one_class(folder: Path, name: str) -> str:
    """What is likely where there is one class folder."""
    inner, _ = folders_in(folder / name)
    with_images = [each.name for each in inner if look_below(each).images]
    if len(with_images) < 2 or images_in(folder / name):
        return f"{folder} holds one class folder, {name!r}: a classifier needs 2 classes or more, add the others"
    move = f", or move its folders up into {folder}" if folder.name == "train" else ""
    return (
        f"{folder} holds one folder, {name!r}, with {some(with_images)} in it: the class folders are one level too "
        f"deep; did you mean data.root={folder / name} (without test images){move}?"
    )


# ---------------------------------------------------------------------------------------------------------------------
# their images


def _part(folder: Path, class_names: tuple[str, ...], is_whole: bool) -> tuple[LabeledSet, Found]:
    """Test or validation images, whose class folders bear the training classes' names.

    Args:
        is_whole: every class must be there.
    """
    own, found = _class_names(folder)
    folder_of = {_composed(name): name for name in own}
    known = {_composed(name) for name in class_names}
    too_many = sorted(folder_of.keys() - known)
    too_few = sorted(known - folder_of.keys()) if is_whole else []
    if too_many or too_few:
        only = [
            f"only {part} has {some(names)}"
            for part, names in (("train", too_few), (folder.name, too_many))
            if names
        ]  # fmt: skip
        raise ValueError(
            f"{folder.parent}: train and {folder.name} must have the same class folders, but {' and '.join(only)}; "
            "add the folders that are missing, or remove the others"
        )
    labeled, of_images = _labeled(folder, tuple(folder_of.get(_composed(name), "") for name in class_names))
    return LabeledSet(labeled.examples, class_names), together([found, of_images])


def _labeled(folder: Path, folder_names: tuple[str, ...]) -> tuple[LabeledSet, Found]:
    """Args:
    folder_names: of each class; empty for one that is not there.
    """
    examples: list[Example] = []
    left_out: list[Found] = []
    for label, name in enumerate(folder_names):
        if not name:
            continue
        found = look_below(folder / name)
        if not found.images and found.unreadable:
            raise ValueError(f"class folder {folder / name} holds nothing but {told_unreadable(found.unreadable)}")
        if not found.images and found.no_files:
            raise FileNotFoundError(f"class folder {folder / name} holds nothing but {told_no_files(found.no_files)}")
        if not found.images:
            raise FileNotFoundError(
                f"class folder {folder / name} holds no images: add some, or remove the class from all parts"
            )
        examples += [Example(path, label) for path in found.images]
        left_out.append(replace(found, images=()))
    return LabeledSet(tuple(examples), folder_names), together(left_out)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
