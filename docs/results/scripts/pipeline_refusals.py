"""Spoils a pipeline of full size in many ways and prints what the command line says of each, and after how long.

python docs/results/scripts/pipeline_refusals.py FOLDER

FOLDER is what full_size_pipeline.py wrote. The seconds are those of the whole command, start of Python included.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

UNET = "unet/diffusion_pytorch_model.safetensors"
CLIP = "generator.clip_checkpoint=open_clip_model.safetensors"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3438167536\n"

Spoil = Callable[[Path], Any]


def named(kind: str) -> Spoil:
    """Another pipeline."""
    return lambda folder: (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))


def changed(name: str, **settings: Any) -> Spoil:
    """Other values in a JSON file."""

    def spoil(folder: Path) -> None:
        content = {**json.loads((folder / name).read_text()), **settings}
        (folder / name).unlink()
        (folder / name).write_text(json.dumps(content))

    return spoil


def without(name: str) -> Spoil:
    """A file that was not fetched."""
    return lambda folder: (folder / name).unlink()


def in_place_of(name: str, write: Callable[[Path, Path], Any]) -> Spoil:
    """Something else where a file was; `write` is given the new path and the old file."""

    def spoil(folder: Path) -> None:
        old = (folder / name).resolve()
        (folder / name).unlink()
        write(folder / name, old)

    return spoil


def half(path: Path, old: Path) -> None:
    """The first half of a file, without its content: the head and a hole."""
    with old.open("rb") as content:
        path.write_bytes(content.read(10_000_000))


def narrow_clip(folder: Path) -> None:
    """A CLIP whose embeddings have other sizes."""
    (folder.parent / "open_clip_model.safetensors").unlink()
    save_file({"visual.proj": torch.zeros(768, 512)}, folder.parent / "open_clip_model.safetensors")


def other_clip(folder: Path) -> None:
    """A CLIP of another training beside the pipeline."""
    weights = load_file(folder.parent / "open_clip_model.safetensors")
    places = torch.randn(weights["positional_embedding"].shape)
    (folder.parent / "open_clip_model.safetensors").unlink()
    save_file({**weights, "positional_embedding": places}, folder.parent / "open_clip_model.safetensors")


CASES: dict[str, tuple[Spoil, list[str]]] = {
    "Stable Diffusion XL": (named("StableDiffusionXLPipeline"), [CLIP]),
    "Stable Diffusion 3": (named("StableDiffusion3Pipeline"), [CLIP]),
    "FLUX": (named("FluxPipeline"), [CLIP]),
    "half-downloaded: no file": (without(UNET), [CLIP]),
    "half-downloaded: half a file": (in_place_of(UNET, half), [CLIP]),
    "Git LFS pointer": (in_place_of(UNET, lambda path, _: path.write_text(POINTER)), [CLIP]),
    "pickle": (in_place_of(UNET, lambda path, old: path.with_suffix(".bin").symlink_to(old)), [CLIP]),
    "hub id, offline": (lambda folder: None, ["generator.checkpoint=owner/name", CLIP]),
    "wrong width": (changed("unet/config.json", cross_attention_dim=1024), [CLIP]),
    "CLIP of another width": (narrow_clip, [CLIP]),
    "prediction not known": (changed("scheduler/scheduler_config.json", prediction_type="sample"), [CLIP]),
    "UNet for inpainting": (changed("unet/config.json", in_channels=9), [CLIP]),
    "another text encoder": (changed("text_encoder/config.json", num_hidden_layers=23), [CLIP]),
    "CLIP of another training": (other_clip, [CLIP]),
    "no CLIP": (lambda folder: None, []),
}


def said(folder: Path, spoil: Spoil, words: list[str], photos: Path) -> tuple[str, float]:
    """The line that the command ends with, and its seconds."""
    spoil(folder / "sd15")
    given = ["experiment=sd15", f"data.root={photos}", "data.labels_per_class=1", "generator.checkpoint=sd15", *words]
    start = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "ssl_aug.generate", *given, "precision=fp32"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - start
    lines = [line for line in run.stderr.splitlines() if line.startswith("error: ")]  # others say what data were found
    assert run.returncode == 2 and len(lines) == 1, run.stderr[-2000:]
    return lines[0].removeprefix("error: "), seconds


def main() -> None:
    """Prints the table in Markdown."""
    whole = Path(sys.argv[1]).resolve()
    print("| what is wrong | what is said | seconds |\n|---|---|---|")
    for what, (spoil, words) in CASES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copytree(whole / "sd15", folder / "sd15", copy_function=lambda old, new: Path(new).symlink_to(old))
            (folder / "open_clip_model.safetensors").symlink_to(whole / "open_clip_model.safetensors")
            (folder / "sd15/model_index.json").unlink()
            shutil.copy(whole / "sd15/model_index.json", folder / "sd15")
            line, seconds = said(folder, spoil, words, whole / "photos")
        print(f"| {what} | {line.replace('|', '/')} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
