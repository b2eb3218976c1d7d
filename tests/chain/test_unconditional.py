"""The chain on unconditional diffusers pipelines, from the command line: tuning, drawing, going on, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from generators import unconditional_pipeline
from generators.conditioning import ClipEncoder
from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module
from ssl_aug.files import read_json
from ssl_aug.synthetic import SyntheticSet
from tests.chain.walks import assert_stopped_work_goes_on_to_the_same_bytes, refused
from tests.conftest import TINY_CLIP, write_image_folder
from tests.generators.pipelines import LATENTS, PIXELS, write_unconditional

EITHER = pytest.mark.parametrize("words", [PIXELS, LATENTS], indirect=True)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """A command line of a second on 15 photos, 9 of them labeled, in a working folder of its own."""
    kind = getattr(request, "param", PIXELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unconditional_pipeline, "clip_config", lambda name: TINY_CLIP)
    write_image_folder(tmp_path / "photos")
    write_unconditional(tmp_path / "pipeline", kind, is_flat=kind == PIXELS)
    torch.manual_seed(5)
    save_file(ClipEncoder(TINY_CLIP, None).model.state_dict(), tmp_path / "open_clip_model.safetensors")
    return [
        *("data=image_folder", "data.root=photos", "data.labels_per_class=3", "device=cpu", "precision=fp32"),
        *("generator=ldm", "generator.checkpoint=pipeline", "generator.clip_checkpoint=open_clip_model.safetensors"),
        *("tune.steps=2", "tune.batch_size=4", "tune.base_learning_rate=1e-3", "steps=4", "batch_size=4"),
        "per_sample=2",
    ]


def adapter(root: Path) -> dict[str, torch.Tensor]:
    return load_file(next(root.glob("*/adapter_000002.safetensors")))


@EITHER
def test_a_tuning_and_a_drawing_that_were_stopped_go_on_to_the_same_bytes(words: list[str], tmp_path: Path) -> None:
    assert_stopped_work_goes_on_to_the_same_bytes(words, tmp_path, 3 * 3 * 2, step=1)


@EITHER
def test_batch_sizes_agree_within_rounding(words: list[str], tmp_path: Path) -> None:
    sets = []
    for size in (1, 7):
        generate_module.main([*words, f"batch_size={size}", "--out", f"set{size}"])
        examples = SyntheticSet.open(tmp_path / f"set{size}").examples
        sets.append(np.stack([np.asarray(Image.open(example.path), dtype=int) for example in examples]))
    assert np.abs(sets[0] - sets[1]).max() <= 1  # of 256 grey levels


@EITHER
def test_only_the_inserted_modules_are_tuned(words: list[str], tmp_path: Path) -> None:
    generate_module.main([*words, "condition=borrowed", "--out", "set"])
    weights = adapter(tmp_path / "outputs" / "adapters")
    assert all(".anl." in name for name in weights)
    assert sum(bool(tensor.any()) for name, tensor in weights.items() if name.endswith(".anl.proj_out.weight")) == 8
    (path,) = (tmp_path / "outputs" / "adapters").glob("*/adapter_000002.json")
    facts, record = read_json(path), read_json(tmp_path / "set/generator.json")
    assert facts["model_id"] == record["model_id"]
    assert facts["num_tuned_parameters"] == sum(tensor.numel() for tensor in weights.values())


@pytest.mark.parametrize(
    "more",
    [
        "tune.approach=all",
        "tune.approach=scratch",
        "tune.approach=anl_unconditional",
        "generator.tokens=patches",
        "tune.condition_dropout=0.5 guidance=2",
        "tune.condition_dropout=0.5 condition=none",
        "tune.ema_decay=0.9 tune.report_every=1",
        "strength=0.5 prompt=cat",
        "generator.image_size=24",
    ],
)
def test_what_other_models_do_these_do(words: list[str], tmp_path: Path, more: str) -> None:
    generate_module.main([*words, *more.split(), "--out", "set"])
    assert len(SyntheticSet.open(tmp_path / "set")) == 3 * 3 * 2


@EITHER
def test_a_tuning_is_the_same_with_gradient_checkpointing_and_in_parts(words: list[str], tmp_path: Path) -> None:
    for root, more in (("plain", []), ("less", ["tune.gradient_checkpointing=true", "tune.accumulation=2"])):
        tune_module.main([*words, f"tune.root={root}", *more])
    plain, less = adapter(tmp_path / "plain"), adapter(tmp_path / "less")
    # Adam's first steps have the learning rate's size, whatever the gradient's: rounding may move a weight by as much
    moved = sum(float((less[name] - tensor).abs().sum()) for name, tensor in plain.items())
    assert moved < 1e-4 * sum(float(tensor.abs().sum()) for tensor in plain.values())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("guidance=2", "set tune.condition_dropout=0.1 too"),
        ("condition=none", "set tune.condition_dropout=0.1 too"),
        ("generator.image_size=17", "generator.image_size=17: this model takes multiples of 2"),
        ("steps=300 sampler=ddim", "sampler=ddim takes divisors of this model's 1000 noise levels"),
        ("generator.clip_checkpoint=null", "download https://huggingface.co/timm/vit_base_patch32_clip_224.openai/"),
    ],
)
def test_settings_that_do_not_fit(
    words: list[str],
    more: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in refused(generate_module.main, [*words, *more.split(), "--dry-run"], tmp_path, monkeypatch, capsys)
