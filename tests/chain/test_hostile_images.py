"""What every command makes of image files as people have them: read, left out and told once, or refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_aug import generate as generate_module
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.readable import check_readable
from ssl_aug.evaluation.judge import read_images
from ssl_aug.export.__main__ import main as export
from ssl_aug.export.settings import TARGETS
from ssl_aug.files import read_json
from ssl_aug.settings import DataSettings
from ssl_aug.synthetic import SyntheticSet
from tests.conftest import write_image_folder

NOISE = Image.fromarray(np.random.RandomState(0).randint(0, 255, (12, 10, 3), dtype=np.uint8))
DAMAGED = "cannot be read as an image"


def saved(mode: str, suffix: str, **options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"x.{suffix}"
        NOISE.convert(mode).save(path, **options)
        return path

    return write


def of_bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def pixels(name: str, values: np.ndarray) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        Image.fromarray(values).save(folder / name)
        return folder / name

    return write


def truncated(folder: Path) -> Path:
    path = saved("RGB", "png")(folder)
    path.write_bytes(path.read_bytes()[:200])
    return path


def turned(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved("RGB", "jpg", exif=exif)(folder)


def wrong_suffix(folder: Path) -> Path:
    return saved("RGB", "png")(folder).rename(folder / "x.jpg")


def named(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        return saved("RGB", "png")(folder).rename(folder / name)

    return write


def link_out(folder: Path) -> Path:
    outside = saved("RGB", "png")(folder.parents[2])
    (folder / "x.png").symlink_to(outside)
    return folder / "x.png"


def link_to_nothing(folder: Path) -> Path:
    (folder / "x.png").symlink_to(folder / "nothing")
    return folder / "x.png"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.png")
    return folder / "x.png"


def folder_like_an_image(folder: Path) -> Path:
    (folder / "x.jpg").mkdir()
    return folder / "x.jpg"


FRAMES = {"save_all": True, "append_images": [Image.new("RGB", NOISE.size, "red")]}
READ = {
    "CMYK": saved("CMYK", "jpg"),
    "palette": saved("P", "png"),
    "gray with transparency": saved("LA", "png"),
    "one bit": saved("1", "png"),
    "16 bits": pixels("x.png", np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)),
    "animated": saved("RGB", "gif", **FRAMES),
    "MPO": saved("RGB", "mpo", **FRAMES),
    "turned": turned,
    "wrong suffix": wrong_suffix,
    "a link out of the root": link_out,
    "one pixel": pixels("x.png", np.full((1, 1, 3), 9, np.uint8)),
    "1 x 5000 pixels": pixels("x.png", np.full((5000, 1, 3), 9, np.uint8)),
    "a name of 240 bytes": named("x" * 236 + ".png"),
    "a name with a newline": named("x\ny.png"),
}
REFUSED = {
    "truncated": (truncated, DAMAGED),
    "no bytes": (of_bytes("x.png", b""), DAMAGED),
    "12 bits in 16": (pixels("x.png", np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)), "no value above 4095"),
    "floating point": (pixels("x.tiff", np.zeros((8, 8), np.float32)), "floating-point pixels"),
}
LEFT = {
    "SVG": (of_bytes("x.svg", b"<svg/>"), "1 pictures that cannot be read here (1 .svg"),
    "a link to nothing": (link_to_nothing, "1 names of images that are no files"),
    "a pipe": (pipe, "1 names of images that are no files"),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=2, test=1)
    return tmp_path / "photos"


def into(root: Path, part: str) -> Path:
    return sorted((root / part).iterdir())[0]


def all_commands(root: Path, out: Path) -> None:
    """What each command does with the images, up to where a training would begin."""
    data = DataSettings(name="image_folder", root=str(root), labels_per_class=None)
    words = ["data=image_folder", f"data.root={root}"]
    generate_module.main(
        [*words, "generator=noise", "per_sample=1", "device=cpu", "precision=fp32", f"synthetic.root={out / 'set'}"]
    )
    dataset, _ = load_and_tell(data)
    images = [*dataset.train.paths, *dataset.test.paths]
    check_readable(images)  # the benchmark's first step
    assert read_images(tuple(images)).shape[0] == len(images)  # evaluate
    for to in TARGETS:
        export([*words, "--real-only", "--check", f"--to={to}", f"--out={out / to}"])


@pytest.mark.parametrize("write", READ.values(), ids=READ.keys())
def test_it_is_read(write: Callable[[Path], Path], root: Path, tmp_path: Path) -> None:
    num_train = len([*(root / "train").rglob("*.png")])
    write(into(root, "train"))
    all_commands(root, tmp_path)
    drawn = SyntheticSet.open(tmp_path / "set")
    assert len({(row["label"], row["source"]) for row in drawn.rows}) == num_train + 1  # it too was drawn from
    for to in TARGETS:
        assert read_json(tmp_path / to / "export.json")["counts"]["real"] == num_train + 1


@pytest.mark.parametrize(("write", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_by_name(write: Callable[[Path], Path], said: str, root: Path, tmp_path: Path) -> None:
    path = write(into(root, "train"))
    words = ["data=image_folder", f"data.root={root}"]
    drawn = [*words, "generator=noise", "per_sample=1", "device=cpu", "precision=fp32", "synthetic.root=set"]
    commands: list[Callable[[], object]] = [
        lambda: generate_module.main(drawn),
        lambda: check_readable([path]),
        lambda: read_images((path,)),
        *(lambda to=to: export([*words, "--real-only", f"--to={to}", f"--out={tmp_path / to}"]) for to in TARGETS),
    ]
    for run in commands:
        with pytest.raises(ValueError) as error:
            run()
        line = str(error.value)
        assert "\n" not in line and path.name in line and (said in line or DAMAGED in line)


@pytest.mark.parametrize(("write", "said"), LEFT.values(), ids=LEFT.keys())
def test_it_is_left_out_and_told_once(
    write: Callable[[Path], Path], said: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(into(root, "train"))
    dataset, _ = load_and_tell(DataSettings(name="image_folder", root=str(root), labels_per_class=None))
    assert path not in dataset.train.paths
    assert capsys.readouterr().err.count(said) == 1


def test_a_folder_named_like_an_image_is_a_folder(root: Path, tmp_path: Path) -> None:
    inner = saved("RGB", "png")(folder_like_an_image(into(root, "train")))
    dataset, _ = load_and_tell(DataSettings(name="image_folder", root=str(root), labels_per_class=None))
    assert inner in dataset.train.paths
