"""What is wrong with a pipeline is said in one line before torch is loaded, let alone weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_image_folder
from tests.generators.pipelines import (
    ENCODER_WEIGHTS,
    TEXT,
    UNET_WEIGHTS,
    VAE_WEIGHTS,
    rewrite,
    write_head,
    write_pipeline,
)

COMMAND = """
import atexit, sys
from ssl_aug.{0} import main
from ssl_aug.runtime import command
atexit.register(lambda: print("torch" in sys.modules))
sys.argv = ["{0}", *{1!r}]
command(main)
"""
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3438167536\n"


def named(kind: str) -> Callable[[Path], object]:
    """Another pipeline by its name."""
    return lambda folder: (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))


def cut(name: str) -> Callable[[Path], object]:
    """A file whose download was stopped."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "SDXL": (named("StableDiffusionXLPipeline"), "a StableDiffusionXLPipeline is Stable Diffusion XL"),
    "SD3": (named("StableDiffusion3Pipeline"), "a StableDiffusion3Pipeline is a transformer"),
    "FLUX": (named("FluxPipeline"), "a FluxPipeline is a transformer"),
    "no UNet": (lambda folder: (folder / UNET_WEIGHTS).unlink(), f"{UNET_WEIGHTS} missing"),
    "no scheduler": (
        lambda folder: (folder / "scheduler/scheduler_config.json").unlink(),
        "scheduler_config.json miss",
    ),
    "half a UNet": (cut(UNET_WEIGHTS), "is damaged or not all there"),
    "half a VAE": (cut(VAE_WEIGHTS), "is damaged or not all there"),
    "LFS": (lambda folder: (folder / ENCODER_WEIGHTS).write_text(POINTER), "is a Git LFS pointer, not the weights"),
    "width": (
        lambda folder: rewrite(folder / "image_encoder/config.json", {"projection_dim": 8}),
        "embeddings of 8 values, the UNet takes tokens of 16",
    ),
    "noise levels": (
        lambda folder: rewrite(folder / "scheduler/scheduler_config.json", {"prediction_type": "sample"}),
        "prediction_type='sample', known are epsilon, v_prediction",
    ),
    "pickle": (
        lambda folder: (folder / UNET_WEIGHTS).rename((folder / UNET_WEIGHTS).with_suffix(".bin")),
        "holds its weights as a pickle",
    ),
}


def run(command: str, words: list[str], folder: Path) -> tuple[int, str, str]:
    script = COMMAND.format(command, words)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_pipeline_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    write_image_folder(tmp_path / "photos")
    spoil, said = DAMAGES[damage]
    spoil(write_pipeline(tmp_path / "pipeline"))
    words = ["data=image_folder", "data.root=photos", "generator=ldm", "generator.checkpoint=pipeline"]
    status, out, line = run("generate", words, tmp_path)
    assert (status, out) == (2, "False")
    assert said in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("command", ["tune", "generate", "evaluate"])
def test_a_name_of_the_hub_offline(tmp_path: Path, command: str) -> None:
    write_image_folder(tmp_path / "photos")
    words = ["data=image_folder", "data.root=photos", "generator=ldm", "generator.checkpoint=owner/name"]
    status, out, line = run(command, words, tmp_path)
    assert (status, out) == (2, "False")
    assert "huggingface_hub.snapshot_download('owner/name', local_dir='FOLDER'" in line
    assert len(line.splitlines()) == 1


def test_a_clip_of_another_width(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "photos")
    write_pipeline(tmp_path / "pipeline", TEXT)
    write_head(tmp_path / "clip.safetensors", {"visual.proj": (768, 512)})
    words = ["data=image_folder", "data.root=photos", "generator=ldm", "generator.checkpoint=pipeline"]
    status, out, line = run("generate", [*words, "generator.clip_checkpoint=clip.safetensors"], tmp_path)
    assert (status, out) == (2, "False")
    assert "clip.safetensors gives embeddings of 512 values, the UNet of pipeline takes tokens of 16" in line
