"""Computes how much memory one tuning step of Stable Diffusion 1.5 holds at its peak, without running it.

Every tensor is a fake one, of which size and lifetime alone are known; the bytes of those that live are counted. Not
counted: what the kernels of a device take for themselves, and PyTorch's own context (0.5 GB on a GPU).
"""

from __future__ import annotations

import argparse
import weakref
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from generators import anl
from generators.losses import noise_prediction_loss
from generators.sampling import alphas_cumprod
from ssl_aug.runtime import keep_frozen_weights_low

SCHEDULE = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
MODELS: dict[str, dict[str, Any]] = {
    "SD 1.5": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "SD 2.1": {
        "sample_size": 96,
        "cross_attention_dim": 1024,
        "attention_head_dim": [5, 10, 20, 20],
        "use_linear_projection": True,
    },
}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that live, and remembers the most."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, Tensor):
                self.count(one)
        return found

    def count(self, tensor: Tensor) -> None:
        """Notes a tensor's storage, until it is given back."""
        storage = tensor.untyped_storage()
        if storage._cdata in self._known:
            return
        self._known[storage._cdata] = storage.nbytes()
        self.live += storage.nbytes()
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key: int) -> None:
        self.live -= self._known.pop(key)


def make_unet(model: str, approach: str, num_tokens: int, rank: int) -> tuple[UNet2DConditionModel, list[nn.Parameter]]:
    """The network as a tuning has it, on the meta device, and what of it trains."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**MODELS[model])
    names = anl.trained_names(unet, approach, num_tokens)
    anl.set_trainable(unet, names)
    keep_frozen_weights_low(unet, torch.bfloat16)
    return unet, [one for one in unet.parameters() if one.requires_grad]


def peak(model: str, approach: str, num_tokens: int, image_size: int, batch_size: int, rank: int = 16) -> int:
    """Bytes that live at the most during the second step: weights, gradients, AdamW's moments, activations."""
    unet, _ = make_unet(model, approach, num_tokens, rank)
    counter, side = LiveBytes(), image_size // 8
    alpha_bar = alphas_cumprod(SCHEDULE)
    with FakeTensorMode(allow_non_fake_inputs=True), counter:
        for layer in unet.modules():
            for name, weight in list(layer._parameters.items()):
                if weight is not None:
                    fake = torch.empty(weight.shape, dtype=weight.dtype, device="cpu")
                    layer.register_parameter(name, nn.Parameter(fake, requires_grad=weight.requires_grad))
        parameters = [one for one in unet.parameters() if one.requires_grad]
        unet.enable_gradient_checkpointing()
        unet.train()
        optimizer = torch.optim.AdamW(parameters)
        width = unet.config.cross_attention_dim

        def predict(z: Tensor, t: Tensor, c: Tensor) -> Tensor:
            return unet(z, t, encoder_hidden_states=c).sample

        for _ in range(2):  # the optimizer's moments are there from the first step's end on
            counter.most = 0
            z, eps = (torch.randn(batch_size, 4, side, side) for _ in range(2))
            t, c = torch.randint(0, 1000, (batch_size,)), torch.randn(batch_size, num_tokens, width)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = noise_prediction_loss(predict, z, c, eps, t, alpha_bar)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return counter.most
