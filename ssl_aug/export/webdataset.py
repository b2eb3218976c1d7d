"""Tar shards for WebDataset: an image, its class index (`.cls`) and its facts (`.json`) under one key."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_aug.data.reading import read_rgb
from ssl_aug.export.content import PARTS, Content, Exported, Options, Picture, Placed

SHARD = 10000  # images


def write(content: Content, folder: Path, final: Path, options: Options, placed: Placed) -> str:
    """Writes shards of each part; returns the README's snippet."""
    for part in PARTS:
        archive: tarfile.TarFile | None = None
        try:
            for picture in content.pictures(part):
                if picture.number % SHARD == 0:
                    if archive is not None:
                        archive.close()
                    archive = tarfile.open(folder / f"{part}-{picture.number // SHARD:06d}.tar", "w")  # noqa: SIM115
                assert archive is not None
                png = _png(picture.path)
                _add(archive, f"{picture.stem}.png", png)
                if picture.label is not None:
                    _add(archive, f"{picture.stem}.cls", str(picture.label).encode())
                _add(archive, f"{picture.stem}.json", json.dumps(_facts(picture, content)).encode())
                shard = Path(str(archive.name)).name
                placed(picture, f"{shard}:{picture.stem}.png", hashlib.sha256(png).hexdigest())
        finally:
            if archive is not None:
                archive.close()
    opened = 'wds.WebDataset(shards["{0}"], shardshuffle=False).decode("pil").to_tuple'
    others = {
        "unlabeled": f'unlabeled = {opened.format("unlabeled")}("png")\n',
        "test": f'test = {opened.format("test")}("png", "cls")\n',
        "validation": f'validation = {opened.format("validation")}("png", "cls")\n',
    }
    count = content.counts()
    return f"""\
import glob
import json
import webdataset as wds

root = {str(final)!r}
shards = {{part: sorted(glob.glob(f"{{root}}/{{part}}-*.tar")) for part in {tuple(count)}}}
labeled = wds.WebDataset(shards["real"] + shards["synthetic"], shardshuffle=False).decode("pil").to_tuple("png", "cls")
{"".join(line for part, line in others.items() if count.get(part))}\
class_names = json.load(open(f"{{root}}/classes.json"))  # in the order of the indices
"""


def _facts(picture: Picture, content: Content) -> dict[str, object]:
    facts: dict[str, object] = {"synthetic": picture.part == "synthetic"}
    if picture.label is not None:
        facts["class_name"] = content.class_names[picture.label]
    return facts | {name: picture.facts[name] for name in ("source", "k", "seed") if name in picture.facts}


def _png(path: Path) -> bytes:
    """RGB, whatever the file was: a PNG without loss."""
    file = io.BytesIO()
    read_rgb(path).save(file, "PNG")
    return file.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)  # no time and no owner: the same images give the same bytes
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
    archive.members.clear()  # type: ignore[attr-defined]  # tarfile remembers every entry, which a shard of any size would pile up


def read(folder: Path) -> Iterator[Exported]:
    """The images of the shards, part by part."""
    for part in PARTS:
        for shard in sorted(folder.glob(f"{part}-*.tar")):
            with tarfile.open(shard) as archive:
                pixels, label = None, None
                for entry in archive:
                    file = archive.extractfile(entry)
                    assert file is not None
                    if entry.name.endswith(".png"):
                        pixels, label = np.asarray(Image.open(io.BytesIO(file.read()))), None
                    elif entry.name.endswith(".cls"):
                        label = int(file.read())
                    elif pixels is not None:  # .json is a key's last
                        yield Exported(part, label, pixels)
