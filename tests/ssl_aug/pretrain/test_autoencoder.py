"""What the autoencoder's losses see, and what sharpening its decoder leaves alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from generators import model_folder
from ssl_aug.pretrain.autoencoder import (
    image_features,
    perceptual_distance,
    psnr,
    reconstruction_loss,
    sharpen_decoder,
)
from ssl_aug.runtime import placement
from ssl_aug.settings import EMBEDDED


def test_psnr_is_in_decibels_of_the_whole_range() -> None:
    images = torch.zeros(3, 3, 8, 8)
    assert psnr(images + 0.02, images) == pytest.approx(40, abs=1e-3)  # an error of one hundredth of the range of 2


def test_a_blurred_edge_costs_more_than_the_same_error_everywhere() -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 1
    blurred, dimmed = image.clone(), image + 0.125
    blurred[..., 3], blurred[..., 4] = 0.5, 0.5
    assert float((blurred - image).abs().mean()) == float((dimmed - image).abs().mean())
    edges = [reconstruction_loss(other, image) - (other - image).square().mean() for other in (blurred, dimmed)]
    assert edges[0] > edges[1]


def test_perceptual_distance_compares_directions_at_each_place() -> None:
    one = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(
        1, 2, 1, 2
    )  # the same at the left, at right angles at the right
    assert perceptual_distance([one], [other]) == pytest.approx(1.0)  # the mean of 0 and 2
    assert perceptual_distance([one], [5 * one]) == 0
    assert perceptual_distance([one, one], [one, other]) == pytest.approx(0.5)


def test_sharpening_trains_the_decoder_alone(tmp_path: Path) -> None:
    model, before = model_folder.load(EMBEDDED), model_folder.load(EMBEDDED).state_dict()
    images = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    losses = sharpen_decoder(model, images, 2, 2, placement("cpu", "fp32"), 0, tmp_path)
    assert len(losses) == 2
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith(("autoencoder.decoder.", "autoencoder.post_quant_conv.")) for name in changed)


def test_features_are_maps_of_falling_size() -> None:
    clip = model_folder.load(EMBEDDED).clip
    with torch.no_grad():
        sizes = [tuple(found.shape[2:]) for found in image_features(clip, torch.zeros(1, 3, 64, 64))]
    assert sizes == [(32, 32), (32, 32), (16, 16), (8, 8), (4, 4)]
