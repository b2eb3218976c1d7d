"""StanfordCars (Krause et al., 2013), 196 models of cars, as `torchvision.datasets.StanfordCars` lays it out.

Files and labels are taken in the order of the .mat files; class ids, 1-based there, start at 0 here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ssl_aug.data.base import Dataset, Example, LabeledSet, file_list_id
from ssl_aug.data.cached import images_made_once
from ssl_aug.data.layout import data_root, require_images
from ssl_aug.data.matlab import read_mat
from ssl_aug.data.reading import read_stored, upright
from ssl_aug.runtime import progress_bar
from ssl_aug.settings import DataSettings

FOLDER = "stanford_cars"
LAYOUT = (
    "stanford_cars/ with cars_train/, cars_test/, cars_test_annos_withlabels.mat, "
    "devkit/cars_train_annos.mat and devkit/cars_meta.mat "
    "(from a mirror: torchvision's download is broken at the source)"
)
CROP_QUALITY = 95  # JPEG quality of the cropped photos


@dataclass(frozen=True)
class Photo:
    """One row of an annotation file."""

    path: Path
    label: int  # from 0
    box: tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels, from 1, the last column and row included


def load(settings: DataSettings) -> Dataset:
    """The dataset; with `crop_to_box` its paths are photos cut to their boxes, kept in the cache.

    Raises:
        FileNotFoundError: a folder, a file of the devkit or a photo is missing.
        ValueError: a file of the devkit or, while cropping, a photo is damaged.
    """
    root = data_root(settings, LAYOUT)
    # the folder itself may be named as well as the one that holds it
    folder = root if (root / "devkit").is_dir() and not (root / FOLDER).is_dir() else root / FOLDER
    named = read_mat(folder / "devkit" / "cars_meta.mat", "class_names", LAYOUT)
    class_names = tuple(str(name) for name in named)
    train = _photos(folder / "devkit" / "cars_train_annos.mat", folder / "cars_train", len(class_names))
    test = _photos(folder / "cars_test_annos_withlabels.mat", folder / "cars_test", len(class_names))
    if settings.crop_to_box:
        train, test = cropped(train, test)
    return Dataset("stanford_cars", _labeled(train, class_names), _labeled(test, class_names))


def crop_box(box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from 0, right and bottom excluded, inside the picture.

    Raises:
        ValueError: nothing of the box is inside.
    """
    x1, y1, x2, y2 = box
    left, top, right, bottom = max(x1 - 1, 0), max(y1 - 1, 0), min(x2, width), min(y2, height)
    if left >= right or top >= bottom:
        raise ValueError(f"the box {box} lies outside the picture of {width}x{height} pixels")
    return left, top, right, bottom


def cropped(train: list[Photo], test: list[Photo]) -> tuple[list[Photo], list[Photo]]:
    """The photos cut to their boxes, under the same names."""
    photos = train + test
    boxes = [photo.box for photo in photos]
    key = hashlib.sha256(f"{file_list_id(p.path for p in photos)} in stored pixels {boxes}".encode()).hexdigest()

    def make(folder: Path) -> None:
        for part in {photo.path.parent.name for photo in photos}:
            (folder / part).mkdir(parents=True)
        with progress_bar(len(photos), "cropping photos to their boxes") as bar:
            for photo in photos:
                _crop(photo, folder / photo.path.parent.name / photo.path.name)
                bar.update()

    folder = images_made_once("stanford_cars-boxes", key[:12], make)

    def moved(photo: Photo) -> Photo:
        return Photo(folder / photo.path.parent.name / photo.path.name, photo.label, photo.box)

    return [moved(photo) for photo in train], [moved(photo) for photo in test]


def _labeled(photos: list[Photo], class_names: tuple[str, ...]) -> LabeledSet:
    return LabeledSet(tuple(Example(photo.path, photo.label) for photo in photos), class_names)


def _crop(photo: Photo, target: Path) -> None:
    image, orientation = read_stored(photo.path)  # the boxes are of the pixels as they are stored
    try:
        box = crop_box(photo.box, image.width, image.height)
    except ValueError as error:
        raise ValueError(f"{photo.path}: {error}; replace the photo or its annotation file") from error
    upright(image.crop(box), orientation).save(target, quality=CROP_QUALITY)


def _photos(annotations: Path, folder: Path, num_classes: int) -> list[Photo]:
    rows = read_mat(annotations, "annotations", LAYOUT)
    columns = ("fname", "class", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
    absent = [column for column in columns if column not in (rows.dtype.names or ())]
    if absent:
        raise ValueError(
            f"{annotations} has no field {absent[0]!r}: put the file with labels there (for the test photos "
            "that is cars_test_annos_withlabels.mat, not devkit/cars_test_annos.mat)"
        )
    paths = require_images(folder, [str(row["fname"]) for row in rows], annotations)
    photos = []
    for path, row in zip(paths, rows, strict=True):
        label = int(row["class"]) - 1
        if not 0 <= label < num_classes:
            raise ValueError(
                f"{annotations}: {path.name} has class {label + 1}, cars_meta.mat names 1 to {num_classes}: "
                "take all files of the devkit from one source"
            )
        x1, y1, x2, y2 = (int(row[column]) for column in columns[2:])
        photos.append(Photo(path, label, (x1, y1, x2, y2)))
    return photos
