"""The commands that are killed, as small as they get, and the folder that they work in."""

from __future__ import annotations

import multiprocessing.dummy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from generators import compvis
from ssl_aug.pretrain import settings, stages
from ssl_aug.pretrain.settings import STAGES
from ssl_aug.world import source_bank
from tests.conftest import TINY_CLIP

HERE = ("device=cpu", "precision=fp32")
DATA = ("data=image_folder", "data.root=photos", "data.labels_per_class=2")
TUNED = (
    *DATA, *HERE, "generator=ldm", "generator.checkpoint=model", "condition=image", "tune.steps=6", "tune.batch_size=4",
    "tune.save_every=2", "tune.report_every=3", "tune.base_learning_rate=1e-3",
)  # fmt: skip
DRAWN = ("steps=2", "batch_size=4", "per_sample=2")
TRAINED = (
    *DATA, *HERE, "model=tiny", "model.bottleneck_width=16", "train.steps=6", "train.batch_size=4",
    "train.eval_every=2", "train.unlabeled_batch_size=6", "train.log_every=1", "train.num_workers=0",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command that is stopped and given again."""

    module: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ("photos",)  # in the folder that it works in
    makes: tuple[str, ...] = ("outputs",)  # folders whose bytes count
    prepare: str | None = None
    resumes: bool = False  # given again with resume=, where there is something to go on from


COMMANDS = {
    "tune": Command("ssl_aug.tune", TUNED, ("photos", "model"), ("outputs", "cache")),
    "generate": Command("ssl_aug.generate", (*TUNED, *DRAWN, "--out", "set"), ("photos", "model"), ("outputs", "set")),
    "evaluate": Command(
        "ssl_aug.evaluate",
        (*DATA, *HERE, "generator=noise", "generator.image_size=16", "per_sample=2", "sweep=mask_rate",
         "mask_rates=[0.0]", "out=figures"),
        makes=("outputs", "figures", "cache"),
    ),
    "pretrain": Command(
        "ssl_aug.pretrain",
        (*HERE, "num_images=40", "processes=1", "out=weights", "work=work", *(f"{part}_steps=1" for part in STAGES),
         *(f"{part}_batch_size=2" for part in ("autoencoder", "clip", "unet"))),
        (), ("weights", "work"), "small_pretraining",
    ),
    "run": Command("benchmarks.run", (*TRAINED, "method=fixmatch", "runs=runs"), makes=("runs",), resumes=True),
    "grid": Command("benchmarks.run", ("--multirun", *TRAINED, "method=erm,fixmatch", "runs=runs"), makes=("runs",)),
    "export": Command("ssl_aug.export", (*DATA, "--to", "lists", "--out", "cars", "--real-only"), makes=("cars",)),
    "import_set": Command(
        "ssl_aug.import_set", (*DATA, "made", "--out", "taken", "--made-by", "a test"), ("photos", "made"), ("taken",)
    ),
    "convert": Command(
        "ssl_aug.convert", ("model.ckpt", "--out", "converted"), ("model.ckpt",), ("converted",), "small_compvis"
    ),
}  # fmt: skip


def small_pretraining() -> None:
    """A pretraining of seconds, whose pictures are drawn by a thread in place of a process."""
    settings.HELD_OUT = stages.HELD_OUT = 16
    source_bank.get_context = lambda method: multiprocessing.dummy  # type: ignore[assignment]


def small_compvis() -> None:
    """The published layout at a fraction of its width."""
    compvis.UNET = {**compvis.UNET, "block_out_channels": (32, 32, 32, 64), "cross_attention_dim": 16}
    compvis.AUTOENCODER = {**compvis.AUTOENCODER, "block_out_channels": (32, 32, 32), "num_vq_embeddings": 64}
    compvis.clip_config = lambda name: TINY_CLIP


PREPARATIONS: dict[str, Callable[[], None]] = {
    "small_pretraining": small_pretraining,
    "small_compvis": small_compvis,
}


def write_checkpoint(path: Path, tensors: dict[str, Any]) -> None:
    """The published checkpoint's file, small."""
    torch.save({"state_dict": tensors, "global_step": 3}, path)
