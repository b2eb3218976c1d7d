"""The published checkpoint as a folder: the same outputs from either, whole or not there at all."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from generators import compvis, ldm
from generators.checkpoints import open_checkpoint
from generators.conditioning import ClipEncoder, load_clip
from ssl_aug import generate as generate_module
from ssl_aug.convert import main
from ssl_aug.files import read_json
from ssl_aug.synthetic import SyntheticSet
from tests.conftest import TINY_CLIP, write_image_folder
from tests.generators.test_compvis import random_checkpoint


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The published layout at a fraction of its width."""
    unet = {**compvis.UNET, "block_out_channels": (32, 32, 32, 64), "cross_attention_dim": 16}
    autoencoder = {**compvis.AUTOENCODER, "block_out_channels": (32, 32, 32), "num_vq_embeddings": 64}
    monkeypatch.setattr(compvis, "UNET", unet)
    monkeypatch.setattr(compvis, "AUTOENCODER", autoencoder)
    monkeypatch.setattr(compvis, "clip_config", lambda name: TINY_CLIP)
    return {**random_checkpoint(), compvis.CLASS_EMBEDDING: torch.randn(1001, 16)}


@pytest.fixture
def checkpoint(small: dict[str, Tensor], tmp_path: Path) -> Path:
    torch.save({"state_dict": small, "global_step": 3}, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    save_file(ClipEncoder(TINY_CLIP, None).model.state_dict(), tmp_path / "open_clip_model.safetensors")
    return tmp_path / "open_clip_model.safetensors"


def outputs(model: ldm.LatentDiffusion) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1
    latents, token = model.encode(images), model.clip.embed_images(images)
    with torch.no_grad():
        eps = model.unet(latents, torch.tensor(7), token).sample
    return [latents, token, eps, model.decode(latents), model.null_token]


@pytest.mark.parametrize("with_clip", [True, False])
def test_the_folder_and_the_file_give_the_same_outputs(
    checkpoint: Path, clip_file: Path, tmp_path: Path, with_clip: bool
) -> None:
    out = tmp_path / "converted"
    main([str(checkpoint), "--out", str(out), *(["--clip", str(clip_file)] if with_clip else [])])
    from_file = open_checkpoint(checkpoint, str(clip_file))
    from_folder = open_checkpoint(out, None if with_clip else str(clip_file))
    for one, other in zip(outputs(from_file), outputs(from_folder), strict=True):
        assert torch.equal(one, other)
    assert from_folder.null_token.any()
    assert from_folder.facts.source_sha256 is not None
    assert (out / "clip.safetensors").exists() == with_clip


def test_an_existing_folder_is_left_alone_and_a_wrong_file_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        main([str(checkpoint), "--out", str(tmp_path / "there")])
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError, match=r"--out .*link exists already: name a new folder"):
        main([str(checkpoint), "--out", str(tmp_path / "link")])
    torch.save({"a": torch.ones(1)}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="not the published cin256-v2"):
        main([str(tmp_path / "other.ckpt"), "--out", str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="--out DIR"):
        main([str(checkpoint)])


def test_clip_from_a_folder_a_file_or_a_tag(clip_file: Path, tmp_path: Path) -> None:
    module = ClipEncoder(TINY_CLIP, None).model
    for source in (clip_file, clip_file.parent):
        load_clip(module, str(source), "tiny")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_clip(module, str(tmp_path / "none.safetensors"), compvis.CLIP_NAME)
    with pytest.raises(ValueError, match="choose one of openai"):
        load_clip(module, "openay", compvis.CLIP_NAME)
    with pytest.raises(FileNotFoundError, match=r"download https://.*open_clip_model\.safetensors.*FILE"):
        load_clip(module, None, compvis.CLIP_NAME)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds none of"):
        load_clip(module, str(tmp_path / "empty"), compvis.CLIP_NAME)


def test_another_models_clip_weights_are_named(tmp_path: Path) -> None:
    module = ClipEncoder(TINY_CLIP, None).model
    weights = module.state_dict()
    del weights["logit_scale"]
    save_file(weights, tmp_path / "clip.safetensors")
    with pytest.raises(ValueError, match=r"1 missing \(logit_scale\)"):
        load_clip(module, str(tmp_path / "clip.safetensors"), "tiny")
    (tmp_path / "ViT-B-32.pt").write_bytes(b"a program")
    with pytest.raises(ValueError, match=r"OpenAI's own \.pt files hold a program"):
        load_clip(module, str(tmp_path / "ViT-B-32.pt"), "tiny")


def test_a_prompt_before_the_norm_is_known_is_refused() -> None:
    with pytest.raises(ValueError, match="tune first"):
        ClipEncoder(TINY_CLIP, None).embed_texts(["a red car"])


def test_the_published_file_tunes_and_draws_with_a_prompt_too(
    checkpoint: Path, clip_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    words = [
        "data=image_folder", "data.root=photos", "data.labels_per_class=1", "generator=ldm",
        f"generator.checkpoint={checkpoint}", f"generator.clip_checkpoint={clip_file}", "generator.image_size=64",
        "tune.steps=2", "tune.batch_size=2", "steps=2", "sampler=dpmpp", "device=cpu",
        "precision=fp32", "--per-sample", "1",
    ]  # fmt: skip
    generate_module.main([*words, "--out", "images"])
    generate_module.main([*words, "--out", "prompted", "prompt=a red car"])
    (facts,) = (tmp_path / "outputs" / "adapters").glob("*/adapter_000002.json")
    assert read_json(facts)["clip_image_norm"] > 0  # the file does not know it: tuning measured it
    drawn = [SyntheticSet.open(tmp_path / name) for name in ("images", "prompted")]
    assert [len(one) for one in drawn] == [3, 3]
    assert drawn[0].id != drawn[1].id
