"""What keeps a tuning small: frozen weights in the type they are computed in, encoders given back after their work."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from generators import anl
from generators.ldm import LatentDiffusion
from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module
from ssl_aug.runtime import keep_frozen_weights_low
from ssl_aug.tuning import encodings
from tests.conftest import build_tiny_model, write_image_folder


@pytest.fixture
def model() -> LatentDiffusion:
    model = build_tiny_model()
    anl.set_trainable(model.unet, anl.trained_names(model.unet, "anl"))
    return model


def prediction_and_gradients(model: LatentDiffusion) -> list[Tensor]:
    z = torch.randn(3, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predicted = model.predict(z, torch.tensor(500), torch.ones(3, 1, model.clip.width))
    predicted.float().square().mean().backward()
    return [predicted, *(one.grad for one in model.unet.parameters() if one.grad is not None)]


def test_frozen_weights_in_half_the_memory_give_the_same_bits(model: LatentDiffusion) -> None:
    low = copy.deepcopy(model)
    keep_frozen_weights_low(low.unet, torch.bfloat16)
    found, wanted = prediction_and_gradients(low), prediction_and_gradients(model)
    assert len(found) > 20
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    for name, parameter in low.unet.named_parameters():
        layer = low.unet.get_submodule(name.rpartition(".")[0])
        is_low = isinstance(layer, nn.Conv2d | nn.Linear) and not parameter.requires_grad
        assert parameter.dtype == (torch.bfloat16 if is_low else torch.float32), name


def test_in_float32_nothing_changes(model: LatentDiffusion) -> None:
    before = {name: one.clone() for name, one in model.unet.state_dict().items()}
    keep_frozen_weights_low(model.unet, torch.float32)
    after = model.unet.state_dict()
    assert all(
        after[name].dtype == tensor.dtype and torch.equal(after[name], tensor) for name, tensor in before.items()
    )


def test_released_encoders_hold_no_memory_and_the_network_still_predicts(model: LatentDiffusion) -> None:
    model.release_encoders()
    for part in (model.autoencoder, model.clip):
        assert all(tensor.is_meta for tensor in [*part.parameters(), *part.buffers()])
    assert not model.predict(torch.zeros(1, *model.latent_shape), torch.tensor(5), model.null_tokens(1, 1)).is_meta


def test_encoders_are_given_back_unless_reports_draw(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    released: list[bool] = []
    monkeypatch.setattr(LatentDiffusion, "release_encoders", lambda self: released.append(True))
    words = [
        *("data=image_folder", "data.root=photos", "data.labels_per_class=3", "device=cpu", "precision=fp32"),
        *("generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "tune.steps=2", "tune.batch_size=2"),
    ]
    tune_module.main([*words, "tune.report_every=1", "sampler=dpmpp", "steps=2"])
    assert released == []
    tune_module.main([*words, "tune.seed=1"])
    assert released == [True]


@pytest.mark.parametrize(("image_size", "most"), [(64, 32), (256, 32), (512, 8), (768, 3), (2048, 1)])
def test_larger_images_are_encoded_in_smaller_batches(image_size: int, most: int) -> None:
    assert encodings.batch_size_at(image_size) == most


def test_drawings_in_bfloat16_hold_the_network_in_it(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    types: set[torch.dtype] = set()
    predict = LatentDiffusion.predict

    def noted(self: LatentDiffusion, *arguments: Tensor) -> Tensor:
        types.add(self.unet.conv_in.weight.dtype)
        return predict(self, *arguments)

    monkeypatch.setattr(LatentDiffusion, "predict", noted)
    words = ["data=image_folder", "data.root=photos", "data.labels_per_class=3", "device=cpu", "tune.steps=0"]
    ours = ["generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "sampler=dpmpp", "steps=2", "precision=bf16"]
    generate_module.main([*words, *ours, "per_sample=1"])
    assert types == {torch.bfloat16}
