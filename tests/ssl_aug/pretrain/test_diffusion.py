"""What the embedded UNet is trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generators import ldm
from ssl_aug.pretrain.settings import PretrainSettings
from ssl_aug.runtime import placement
from ssl_aug.tuning.encodings import encode_arrays


def test_tokens_are_made_of_what_clip_is_shown_and_latents_of_the_whole(
    tiny_model: ldm.LatentDiffusion, tmp_path: Path
) -> None:
    images, place = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8), placement("cpu", "fp32")
    whole = encode_arrays(images, tiny_model, tmp_path / "whole", place)
    dark = encode_arrays(images, tiny_model, tmp_path / "dark", place, lambda pictures, _: -torch.ones_like(pictures))
    assert np.array_equal(whole.latents, dark.latents)
    assert np.ptp(dark.tokens, axis=0).max() == pytest.approx(0, abs=1e-5) and np.ptp(whole.tokens, axis=0).max() > 0.01


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"decoder_steps": 0}, "decoder_steps=0: give 1 or more"),
        ({"autoencoder_batch_size": 0}, "autoencoder_batch_size=0: give 1 or more"),
        ({"stages": "decoder", "start_from": "out"}, "start_from has no effect on stages=decoder"),
        ({"stages": "unets"}, "choose all, or of"),
    ],
)
def test_budgets_without_sense_are_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PretrainSettings(**settings)


def test_of_two_that_encode_at_once_the_first_ones_encodings_stay(
    tiny_model: ldm.LatentDiffusion, tmp_path: Path
) -> None:
    images, place = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8), placement("cpu", "fp32")
    firsts: list[np.ndarray] = []

    def while_another_is_faster(pictures: torch.Tensor, numbers: range) -> torch.Tensor:
        firsts.append(encode_arrays(images, tiny_model, tmp_path / "encodings", place).tokens.copy())
        return -pictures

    second = encode_arrays(images, tiny_model, tmp_path / "encodings", place, while_another_is_faster)
    assert np.array_equal(second.tokens, firsts[0])
    assert [path.name for path in tmp_path.iterdir()] == ["encodings"]


def test_an_encoding_that_is_stopped_leaves_nothing(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> None:
    def stop(pictures: torch.Tensor, numbers: range) -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_arrays(
            np.zeros((2, 16, 16, 3), np.uint8), tiny_model, tmp_path / "encodings", placement("cpu", "fp32"), stop
        )
    assert list(tmp_path.iterdir()) == []
