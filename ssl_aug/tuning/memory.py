"""The memory that a tuning takes, computed without any: its step on tensors that have a shape and no content."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ssl_aug.runtime import keep_frozen_weights_low


@dataclass(frozen=True)
class TuningMemory:
    """Bytes by what they are."""

    frozen: int  # weights that do not train; convolutions and matrices in the type that they are computed in
    trained: int  # weights that do, in float32
    optimizer: int  # AdamW's two moments
    gradients: int
    passing: int  # most that there is at once beside the above: activations, gradients, what the optimizer works with

    @property
    def total(self) -> int:
        """At the peak of a step; the gradients are in what is passing."""
        return self.frozen + self.trained + self.optimizer + self.passing


def tuning_memory(
    unet: nn.Module,
    names: Sequence[str],
    latent_shape: tuple[int, int, int],
    token_shape: tuple[int, int],
    batch_size: int,
    dtype: torch.dtype,
    gradient_checkpointing: bool = False,
    norms_in_float32: bool = True,
) -> TuningMemory:
    """What one step takes at its peak, beside PyTorch itself and what its allocator leaves unused.

    Args:
        unet: of any device, also meta; it stays as it is.
        names: the weights that train (`generators.anl.trained_names`).
        latent_shape: (channels, height, width) of one image.
        token_shape: (tokens, values) of one image's condition.
        batch_size: images of one part of a step, on one device.
        dtype: that autocast computes in; float32: none.
        gradient_checkpointing: as `tune.gradient_checkpointing`.
        norms_in_float32: as autocast computes them on a GPU; on a CPU it does not.
    """
    shapes = copy.deepcopy(unet).to("meta").requires_grad_(False)
    for name in names:
        shapes.get_parameter(name).requires_grad_(True)
    keep_frozen_weights_low(shapes, dtype)
    if gradient_checkpointing:
        shapes.enable_gradient_checkpointing()
    with FakeTensorMode():
        network = _without_content(shapes.train())
        if norms_in_float32:
            _norms_in_float32(network)
        trained = [one for one in network.parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(trained, foreach=True)  # as on a GPU
        latents = torch.empty(batch_size, *latent_shape)
        tokens = torch.empty(batch_size, *token_shape)
        timesteps = torch.zeros(batch_size, dtype=torch.long)

        def step() -> None:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                predicted = network(latents, timesteps, encoder_hidden_states=tokens).sample
            predicted.float().square().mean().backward()

            optimizer.step()

        step()  # from the second step on the optimizer has its moments
        gradients = sum(_bytes(one.grad) for one in trained if one.grad is not None)
        optimizer.zero_grad(set_to_none=True)
        kept = sum(map(_bytes, [*network.parameters(), *network.buffers()]))
        moments = sum(_bytes(one) for state in optimizer.state.values() for one in state.values())
        peak = _peak_of(step)
        weights = sum(map(_bytes, trained))
    return TuningMemory(kept - weights, weights, moments, gradients, peak)


def _without_content(network: nn.Module) -> nn.Module:
    """The same network in place, its tensors of a mode that computes shapes alone."""
    for module in network.modules():
        for name, one in module.named_parameters(recurse=False):
            fake = torch.empty_strided(one.shape, one.stride(), dtype=one.dtype)
            module.register_parameter(name, nn.Parameter(fake, requires_grad=one.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype))
    return network


def _norms_in_float32(network: nn.Module) -> None:
    def cast(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return given[0].float(), *given[1:]

    for module in network.modules():
        if isinstance(module, nn.GroupNorm | nn.LayerNorm):
            module.register_forward_pre_hook(cast)


class _Live(TorchDispatchMode):
    """Counts the bytes of the tensors that are made inside, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if isinstance(one, Tensor) and one.untyped_storage()._cdata not in given | self._known:
                self._count(one.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _peak_of(work: Callable[[], None]) -> int:
    with _Live() as live:
        work()
    return live.peak


def _bytes(one: Tensor) -> int:
    return one.numel() * one.element_size()
