"""The memory of a tuning step, computed without any, against what a real step keeps."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from generators.anl import set_trainable, trained_names
from ssl_aug.runtime import keep_frozen_weights_low
from ssl_aug.tuning.memory import TuningMemory, tuning_memory
from tests.conftest import tiny_unet


@cache
def needed(
    batch_size: int = 40,
    dtype: torch.dtype = torch.bfloat16,
    checkpointing: bool = False,
    norms_in_float32: bool = False,
) -> TuningMemory:
    unet = tiny_unet()
    names = trained_names(unet, "anl")
    return tuning_memory(unet, names, (4, 8, 8), (1, 16), batch_size, dtype, checkpointing, norms_in_float32)


def kept_for_the_backward_pass(unet: nn.Module, batch_size: int) -> int:
    """Bytes of all that a real forward pass in bfloat16 saves, beside the weights."""
    set_trainable(unet, trained_names(unet, "anl"))
    keep_frozen_weights_low(unet, torch.bfloat16)
    weights = {one.untyped_storage().data_ptr() for one in unet.parameters()}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        unet(
            torch.ones(batch_size, 4, 8, 8),
            torch.zeros(batch_size, dtype=torch.long),
            encoder_hidden_states=torch.ones(batch_size, 1, 16),
        )
    return sum(one.untyped_storage().nbytes() for place, one in saved.items() if place not in weights)


def test_activations_are_those_of_a_real_pass() -> None:
    of_twenty, of_forty = (needed(batch_size).passing for batch_size in (20, 40))
    kept = kept_for_the_backward_pass(tiny_unet().train(), 20)
    assert kept < of_twenty < 1.3 * kept
    assert of_forty == pytest.approx(2 * of_twenty, rel=0.1)


def test_weights_that_do_not_train_have_no_gradient_and_no_state_and_are_kept_low() -> None:
    unet = tiny_unet()
    names = trained_names(unet, "anl")
    numbers = sum(unet.get_parameter(name).numel() for name in names)
    in_float32, low = needed(dtype=torch.float32), needed()
    assert low.trained == low.gradients == 4 * numbers
    assert 2 * low.trained <= low.optimizer < 2 * low.trained + 8 * len(names)  # and each one's count of steps
    assert low.frozen < 0.55 * in_float32.frozen
    assert low.total == low.frozen + low.trained + low.optimizer + low.passing


def test_gradient_checkpointing_and_lower_precision_take_less() -> None:
    plain = needed().passing
    assert needed(checkpointing=True).passing < 0.7 * plain
    assert plain < 0.7 * needed(dtype=torch.float32).passing


def test_norms_in_float32_take_more() -> None:
    on_gpu = needed(norms_in_float32=True)
    assert on_gpu.passing > needed().passing
    assert replace(on_gpu, passing=0) == replace(needed(), passing=0)
