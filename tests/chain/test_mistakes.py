"""Mistakes that people make, and the one line that each of them gets: what is wrong, and the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import run as benchmark_module
from benchmarks import table as table_module
from ssl_aug import convert, evaluate, generate, import_set, tune
from ssl_aug.export import __main__ as export
from tests.chain.walks import refused
from tests.conftest import write_image_folder
from tests.generators.pipelines import write_head, write_pipeline

COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "generate": generate.main,
    "tune": tune.main,
    "evaluate": evaluate.main,
    "export": export.main,
    "import_set": import_set.main,
    "convert": convert.main,
    "run": benchmark_module.main,
    "table": table_module.main,
}
PHOTOS = "data=image_folder data.root=photos data.labels_per_class=2 device=cpu precision=fp32"
LDM = f"{PHOTOS} generator=ldm generator.checkpoint=pipeline"
TRAIN = f"{PHOTOS} model=tiny train.steps=2"
MISTAKES = [
    # which weights
    ("generate", PHOTOS, "data=image_folder wants a generator=: ldm with generator.checkpoint=WEIGHTS"),
    ("run", f"{PHOTOS} method=erm", "data=image_folder wants a model=: resnet50 (ImageNet weights"),
    ("generate", f"{PHOTOS} generator=ldm", "generator=ldm needs generator.checkpoint=PATH"),
    ("generate", f"{PHOTOS} generator=sdxl", "generator=sdxl: there is no such generator; choose one of"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=nowhere", "there is no such file or folder"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=v1-5.ckpt", "is Stable Diffusion in one file"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=v1-5.safetensors", "is Stable Diffusion in one file"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=owner/name", "snapshot_download('owner/name'"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=xl", "a StableDiffusionXLPipeline is Stable"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=one.safetensors", "not as one file"),
    ("generate", f"{PHOTOS} generator=ldm generator.checkpoint=photos", "a folder without model.json or model_i"),
    ("convert", "pipeline --out new", "pipeline is a folder: give it as generator.checkpoint=pipeline"),
    ("run", f"{PHOTOS} model.name=resnet5", "model.name=resnet5: timm has no such model; close: resnet50"),
    ("run", f"{TRAIN} model.checkpoint=none.pth", "model.checkpoint=none.pth: there is no such file"),
    # words
    ("generate", f"{LDM} --per_sample 3", "--per_sample: there is no such flag; did you mean --per-sample?"),
    ("generate", f"{LDM} --data.root photos", "settings are written without dashes, data.root=photos"),
    ("generate", f"{LDM} data.root = photos", "data.root: settings are written without spaces, data.root=photos"),
    ("generate", f"{LDM} tune.step=3", "tune.step: there is no such setting, did you mean tune.steps?"),
    ("generate", "data=image-folder", "data=image-folder: there is no such data; choose one of"),
    ("run", "method=fixmach", "method=fixmach: there is no such method; choose one of"),
    ("run", f"{TRAIN} method=fixmatch method.treshold=0.9", "there is no such setting, did you mean method.threshold?"),
    ("run", f"{TRAIN} steps=100", "that is the generator's and has no effect here, use train.steps=100"),
    ("export", f"--to pascal --out new {PHOTOS} --real-only", "choose one of folder, lists, usb"),
    # values
    ("generate", f"{LDM} mask_rate=1.5", "mask_rate=1.5: give 0 (no mask) to below 1"),
    ("generate", f"{LDM} sampler=ddim steps=300", "steps=300: sampler=ddim takes divisors of this model's 1000"),
    ("generate", f"{LDM} guidance=3", "set tune.condition_dropout=0.1 too"),
    ("generate", f"{LDM} condition=class", "set tune.images=labeled too, or tune.steps=0"),
    ("generate", f"{LDM} tune.rank=4", "tune.rank has no effect on tune.approach=anl: leave it out, or use anl_lora"),
    ("generate", f"{LDM} per_sample=0", "per_sample=0: give 1 or more"),
    ("tune", f"{LDM} precision=fp16", "precision=fp16: a CPU does not compute in it; use bf16 or fp32"),
    # data and folders
    ("generate", f"{LDM} data.root=nowhere", "nowhere"),
    ("generate", f"{LDM} --out photos", "photos"),
    ("run", f"{TRAIN} augment=true method=erm generator=noise", "python -m ssl_aug.generate"),
    ("table", "--runs nowhere", "train with python -m benchmarks.run runs=nowhere"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a person stands who has photos, a pipeline and some files that are no use."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    write_pipeline(tmp_path / "pipeline")
    (tmp_path / "xl").mkdir()
    (tmp_path / "xl/model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    write_head(tmp_path / "one.safetensors", {"model.diffusion_model.time_embed.0.weight": (1280, 320)})
    of_text = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
    write_head(tmp_path / "v1-5.safetensors", {of_text: (768,)})
    torch.save({"state_dict": {of_text: torch.ones(768)}}, tmp_path / "v1-5.ckpt")
    return tmp_path


@pytest.mark.parametrize(("name", "words", "said"), MISTAKES, ids=[f"{name} {said[:40]}" for name, _, said in MISTAKES])
def test_a_mistake_gets_one_line_and_writes_nothing(
    name: str,
    words: str,
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in refused(COMMANDS[name], words.split(), folder, monkeypatch, capsys)
