"""What each approach trains, saves and holds in memory while it tunes, and what drawing holds: counted from shapes.

python docs/results/scripts/adapters.py

Memory is that of the network, in bfloat16 with tune.gradient_checkpointing=true: weights, gradients, AdamW's moments
and activations, at the moment when they are most. A step is gone through with tensors of which size and lifetime alone
are known. Not counted: what a device's kernels take for themselves, and PyTorch's own context (about 0.5 GB on a GPU).
The encoders are given back before the first step.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import open_clip
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, VQModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from generators import anl, compvis, lora
from generators.losses import noise_prediction_loss
from generators.model_facts import SCHEDULE
from generators.sampling import alphas_cumprod
from generators.settings import RANK
from ssl_aug.runtime import keep_frozen_weights_low

# of the published unet/config.json what differs from diffusers' defaults
SD_1: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD_2: dict[str, Any] = {
    "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}  # fmt: skip
TEXT_AND_IMAGE = 78  # tokens: the 77 states of a text and an image's embedding
MODELS = (
    ("cin256-v2, 256 px", compvis.UNET, 1),
    ("SD 1.5, 512 px", SD_1, 1),
    ("SD 1.5, 512 px", SD_1, TEXT_AND_IMAGE),
    ("SD 2.1, 768 px", SD_2, 1),
    ("SD 2.1, 768 px", SD_2, TEXT_AND_IMAGE),
)
AUTOENCODER: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip
DRAWN = (1, 4, 8)  # images: batch_size
AT_ONCE = (1, 8)  # images: tune.batch_size over tune.accumulation
SAVED = 4  # bytes of a weight in an adapter's file: float32
HEADER = ("model", "tokens", "approach", "trained", "adapter", *(f"memory, {size} at once" for size in AT_ONCE))


def prepared(config: dict[str, Any], approach: str, num_tokens: int) -> UNet2DConditionModel:
    """A network as the tuning has it, without content."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    if approach == "anl_lora":
        names = lora.add(unet, RANK, num_tokens, seed_of=len)
    else:
        names = anl.trained_names(unet, approach, num_tokens)
    anl.set_trainable(unet, names)
    keep_frozen_weights_low(unet, torch.bfloat16)
    if num_tokens == 1:
        anl.fold_single_token(unet)
    return unet


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that live."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the operation and notes what it made."""
        found = function(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, Tensor):
                self._note(one.untyped_storage())
        return found

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known[key] = storage.nbytes()
        self.live += self._known[key]
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self._known.pop(key)


def peak_of_a_step(unet: UNet2DConditionModel, num_tokens: int, at_once: int) -> int:
    """Bytes that live at the most in a step on so many images."""
    counter, config = LiveBytes(), unet.config
    latents = (at_once, config.in_channels, config.sample_size, config.sample_size)
    with FakeTensorMode(allow_non_fake_inputs=True), counter:
        fake_weights(unet)
        unet.enable_gradient_checkpointing()
        unet.train()
        optimizer = torch.optim.AdamW([one for one in unet.parameters() if one.requires_grad])
        alpha_bar = alphas_cumprod(SCHEDULE)
        for _ in range(2):  # the moments are there from the end of the first step on
            counter.most = 0
            z, eps = torch.randn(latents), torch.randn(latents)
            c, t = torch.randn(at_once, num_tokens, config.cross_attention_dim), torch.randint(0, 1000, (at_once,))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = noise_prediction_loss(partial(predict, unet), z, c, eps, t, alpha_bar)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return counter.most


def predict(unet: UNet2DConditionModel, z_t: Tensor, t: Tensor, c: Tensor) -> Tensor:
    """What the network says of noisy latents."""
    predicted: Tensor = unet(z_t, t, encoder_hidden_states=c).sample
    return predicted


def fake_weights(network: nn.Module) -> None:
    """Weights of which size and type alone are known, in place of those without memory."""
    for layer in network.modules():
        for name, weight in list(layer._parameters.items()):
            if weight is not None:
                own = torch.empty(weight.shape, dtype=weight.dtype, device="cpu")
                layer.register_parameter(name, nn.Parameter(own, requires_grad=weight.requires_grad))


def peak_of_drawing(config: dict[str, Any], autoencoder: dict[str, Any] | None, clip: str, at_once: int) -> int:
    """Bytes that live at the most while so many images are drawn: all networks' weights, and activations."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config).requires_grad_(False)
        decoder = VQModel(**compvis.AUTOENCODER) if autoencoder is None else AutoencoderKL(**autoencoder)
        encoder = open_clip.CLIP(**open_clip.get_model_config(clip))
    keep_frozen_weights_low(unet, torch.bfloat16)
    counter, latents = LiveBytes(), (at_once, config["in_channels"], config["sample_size"], config["sample_size"])
    with FakeTensorMode(allow_non_fake_inputs=True), counter, torch.no_grad():
        for network in (unet, decoder.requires_grad_(False), encoder):
            fake_weights(network)
        if autoencoder is not None:  # a text pipeline's: its text encoder is as large as CLIP's text tower
            text = [torch.empty_like(one) for name, one in encoder.named_parameters() if "visual" not in name]
            assert text
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z, c = torch.randn(latents), torch.randn(at_once, TEXT_AND_IMAGE, config["cross_attention_dim"])
            predict(unet, z, torch.tensor(5), c)
            decoder.decode(z)
    return counter.most


def drawing_rows() -> Iterator[tuple[str, ...]]:
    """The cells of the second table, memory in GB."""
    sides = {512: (64, SD_1, "ViT-L-14-quickgelu"), 768: (96, SD_2, "ViT-H-14")}
    yield (
        "cin256-v2, 256 px",
        *(f"{peak_of_drawing(compvis.UNET, None, compvis.CLIP_NAME, n) / 1e9:.1f} GB" for n in DRAWN),
    )
    for pixels, (side, config, clip) in sides.items():
        unet = {"in_channels": 4, **config, "sample_size": side}
        peaks = [peak_of_drawing(unet, {**AUTOENCODER, "sample_size": pixels}, clip, size) for size in DRAWN]
        yield f"SD {'1.5' if config is SD_1 else '2.1'}, {pixels} px", *(f"{peak / 1e9:.1f} GB" for peak in peaks)


def rows() -> Iterator[tuple[str, ...]]:
    """The cells of the table: counts in millions, the file in MB, memory in GB."""
    for model, config, num_tokens in MODELS:
        for approach in ("anl", "anl_lora", "all"):
            unet = prepared(config, approach, num_tokens)
            trained = sum(one.numel() for one in unet.parameters() if one.requires_grad)
            name = f"anl_lora, rank {RANK}" if approach == "anl_lora" else approach
            peaks = [peak_of_a_step(prepared(config, approach, num_tokens), num_tokens, size) for size in AT_ONCE]
            memory = [f"{peak / 1e9:.1f} GB" for peak in peaks]
            yield model, str(num_tokens), name, f"{trained / 1e6:.2f} M", f"{SAVED * trained / 1e6:.1f} MB", *memory


def main() -> None:
    """Prints the tables in Markdown."""
    for header, found in ((HEADER, rows()), (("drawing", *(f"{n} at once" for n in DRAWN)), drawing_rows())):
        for cells in (header, ("---",) * len(header), *found):
            print("|", " | ".join(cells), "|", flush=True)
        print()


if __name__ == "__main__":
    main()
