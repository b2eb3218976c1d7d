"""The latent diffusion model: UNet, autoencoder, CLIP and noise schedule, as one folder of safetensors and JSON.

Folder layout: `model.json` (format, image size, latent scale, schedule, CLIP's config and embedding norm), and
`unet`, `autoencoder`, `clip`, each as `<part>.safetensors`, the first two with diffusers' `<part>.json`. A folder
without `clip.safetensors` takes CLIP's weights from elsewhere; `null_token.safetensors` is there where the token for
no condition is not zero.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, VQModel
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from generators.anl_ddpm import ConditionalUNet
from generators.conditioning import ClipEncoder, load_clip
from generators.files import read_json
from generators.pixel_space import PixelSpace
from generators.text_encoder import TextEncoder
from generators.weights import check_fit, load_weights, read_weights

FORMAT = 1
# The last layer of the network, and of an attention block outside of the SpatialTransformers.
_ENDS = re.compile(r"(^|\.)conv_out$|(^|\.)attentions\.\d+\.to_out\.0$")
FACTS_FILE, CLIP_FILE, NULL_TOKEN_FILE = "model.json", "clip.safetensors", "null_token.safetensors"
NEEDED_FILES = (FACTS_FILE, "unet.json", "autoencoder.json", "unet.safetensors", "autoencoder.safetensors")
AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "VQModel": VQModel}
SCHEDULE: dict[str, Any] = {  # cin256-v2's
    "num_train_timesteps": 1000,
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",  # CompVis calls it "linear"
}


@dataclass
class ModelFacts:
    """What the weights alone do not say."""

    image_size: int  # pixels
    clip: dict[str, Any]  # open_clip's model config
    clip_image_norm: float | None  # mean norm of image embeddings; None: measured in tuning
    latent_scale: float = 1.0  # latents are multiplied by it after encoding; cin256-v2: 1.0
    pixel_fold: int = 1  # space folded into channels before the autoencoder: 2 makes 64x64x3 into 32x32x12
    schedule: dict[str, Any] = field(default_factory=lambda: dict(SCHEDULE))  # of the training, as diffusers takes it
    clip_name: str | None = None  # open_clip's name, where CLIP's weights are a published model's
    source_sha256: str | None = None  # of the published file that the weights were converted from
    latent_shift: float = 0.0  # subtracted from the latents before they are scaled; 0 in most models
    format: int = FORMAT


class LatentDiffusion(nn.Module):
    """The networks and the two ways between images and latents."""

    null_token: Tensor

    def __init__(
        self,
        facts: ModelFacts,
        unet: UNet2DConditionModel | ConditionalUNet,
        autoencoder: AutoencoderKL | VQModel | PixelSpace,
        text: TextEncoder | None = None,
    ):
        super().__init__()
        self.facts = facts
        self.unet = unet
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.clip = ClipEncoder(facts.clip, facts.clip_image_norm)
        if unet.config.cross_attention_dim != self.clip.width:
            raise ValueError(
                f"the UNet takes tokens of {unet.config.cross_attention_dim} values, CLIP gives {self.clip.width}: "
                "the two parts are not from one model"
            )
        self.register_buffer("null_token", torch.zeros(1, self.clip.width), persistent=False)
        self.text = None if text is None else text.requires_grad_(False).eval()  # of class names, beside CLIP's
        self._states: dict[str, Tensor] = {}
        self.is_unconditional = False  # whether the UNet takes no condition at all (`anl.make_unconditional`)

    def predict(self, z_t: Tensor, t: Tensor, c: Tensor | None, unet: Callable[..., Any] | None = None) -> Tensor:
        """What the UNet predicts of noisy latents: the noise, or v, whichever the schedule says.

        Args:
            z_t: (b, c, h, w) noisy latents.
            t: (b,) timesteps, or one for all.
            c: (b, n, d) condition tokens; an unconditional model makes no use of them.
            unet: the model's own in a wrapping (of several processes, compiled); None: as it is.
        """
        network = self.unet if unet is None else unet
        predicted: Tensor = network(z_t, t, encoder_hidden_states=None if self.is_unconditional else c).sample
        return predicted

    def null_tokens(self, num_images: int, num_tokens: int, with_text: bool = False) -> Tensor:
        """(b, n, d) conditions that stand for no condition.

        Args:
            num_tokens: of an image.
            with_text: whether conditions begin with a prompt's states; without a condition the empty prompt's.
        """
        of_image = self.null_token.expand(num_images, num_tokens, -1)
        return torch.cat([self.prompt_states([""] * num_images), of_image], dim=1) if with_text else of_image

    @torch.no_grad()
    def prompt_states(self, prompts: Sequence[str]) -> Tensor:
        """(b, n, d) states of prompts by the pipeline's own text encoder, each encoded once and alone.

        Raises:
            ValueError: there is none.
        """
        if self.text is None:
            raise ValueError("this model was opened without a text encoder: a prompt of it has no states")
        for prompt in dict.fromkeys(prompts):
            if prompt not in self._states:
                self._states[prompt] = self.text(prompt)[0].float()
        return torch.stack([self._states[prompt] for prompt in prompts])

    def release_encoders(self) -> None:
        """Gives back the memory of all but the UNet, once images and prompts are encoded: none can be after it."""
        for part in (self.autoencoder, self.clip, self.text):
            if part is not None:
                part.to("meta")

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image's latents at the trained image size."""
        return self.shape_at(self.facts.image_size)

    def shape_at(self, image_size: int) -> tuple[int, int, int]:
        """(channels, height, width) of the latents of images of `image_size` pixels."""
        factor = self.facts.pixel_fold * 2 ** (len(self.autoencoder.config.block_out_channels) - 1)
        levels = 2 ** (len(self.unet.config.block_out_channels) - 1)
        if image_size % (factor * levels):
            raise ValueError(f"generator.image_size={image_size}: this model takes multiples of {factor * levels}")
        side = image_size // factor
        return int(self.unet.config.in_channels), side, side

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """(b, 3, s, s) images in [-1, 1] -> (b, c, h, w) latents; deterministic, so they can be cached."""
        folded = F.pixel_unshuffle(images, self.facts.pixel_fold)
        encoded = self.autoencoder.encode(folded)
        # a VQ model's latents are those before quantization: its decoder quantizes
        latents = encoded.latent_dist.mode() if isinstance(self.autoencoder, AutoencoderKL) else encoded.latents
        return (latents.float() - self.facts.latent_shift) * self.facts.latent_scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """(b, c, h, w) latents -> (b, 3, s, s) images in [-1, 1]."""
        decoded = self.autoencoder.decode(latents / self.facts.latent_scale + self.facts.latent_shift).sample
        return F.pixel_shuffle(decoded.float(), self.facts.pixel_fold).clamp(-1, 1)


def save(model: LatentDiffusion, folder: Path, dtype: torch.dtype = torch.float32, with_clip: bool = True) -> None:
    """Writes the model's folder; float16 halves it.

    Raises:
        ValueError: a model that our folders do not hold.
    """
    if isinstance(model.unet, ConditionalUNet):
        raise ValueError("a model with inserted ANL modules is kept as its pipeline's folder and an adapter")
    folder.mkdir(parents=True, exist_ok=True)
    modules = {"unet": model.unet, "autoencoder": model.autoencoder, "clip": model.clip.model}
    tensors = {part: module.state_dict() for part, module in modules.items() if part != "clip" or with_clip}
    if model.null_token.any():
        tensors["null_token"] = {"null_token": model.null_token}
    for part, state in tensors.items():
        weights = {name: tensor.detach().cpu().to(dtype).contiguous() for name, tensor in state.items()}
        save_file(weights, folder / f"{part}.safetensors")
        (folder / f"{part}.safetensors").chmod(0o644)  # safetensors lets only the owner read
    for part in ("unet", "autoencoder"):
        (folder / f"{part}.json").write_text(json.dumps(_public_config(modules[part]), indent=2) + "\n")
    facts = asdict(model.facts)
    if not model.facts.latent_shift:
        del facts["latent_shift"]  # the id of a model without one stays what it was before there were any
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n")


def read_facts(folder: Path) -> ModelFacts:
    """What `model.json` says.

    Raises:
        ValueError: a damaged file, or another format.
    """
    path = folder / FACTS_FILE
    written = read_json(path, "restore it")
    if written.get("format") != FORMAT:
        raise ValueError(f"{path}: format {written.get('format')}, this version reads {FORMAT}")
    try:
        return ModelFacts(**written)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(ModelFacts))
        raise ValueError(f"{path} is damaged ({error}; it names {known}): restore it") from error


def files_of(folder: Path, facts: ModelFacts) -> list[Path]:
    """The files that the folder's model is made of. CLIP's weights may come from elsewhere where its name is known.

    Raises:
        FileNotFoundError: some are missing; they are named.
    """
    needed = NEEDED_FILES if facts.clip_name is not None else (*NEEDED_FILES, CLIP_FILE)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"generator.checkpoint={folder}: {', '.join(missing)} missing; a model's folder holds {', '.join(needed)}"
        )
    optional = [name for name in (CLIP_FILE, NULL_TOKEN_FILE) if (folder / name).is_file() and name not in needed]
    return [folder / name for name in (*needed, *optional)]


def load(folder: Path, clip_checkpoint: str | None = None) -> LatentDiffusion:
    """Reads a model's folder, in float32 on the CPU; `generators.checkpoints` opens other kinds too.

    Args:
        clip_checkpoint: CLIP's weights where the folder has none (`generators.conditioning.load_clip`).

    Raises:
        FileNotFoundError: one of its files is missing.
        ValueError: another format, or weights that do not fit the config.
    """
    facts = read_facts(folder)
    files = files_of(folder, facts)
    has_clip = folder / CLIP_FILE in files
    if has_clip and clip_checkpoint is not None:
        raise ValueError(f"generator.clip_checkpoint has no effect: {folder} holds its own {CLIP_FILE}")
    model = LatentDiffusion(facts, _build_unet(folder), _build_autoencoder(folder))
    load_weights(model.unet, folder / "unet.safetensors")
    load_weights(model.autoencoder, folder / "autoencoder.safetensors")
    if has_clip:
        load_weights(model.clip.model, folder / CLIP_FILE)
    else:
        load_clip(model.clip.model, clip_checkpoint, str(facts.clip_name))
    path = folder / NULL_TOKEN_FILE
    if path in files:
        tensors = read_weights(path)
        check_fit(tensors, {"null_token": tuple(model.null_token.shape)}, f"{path} does not fit the model")
        model.null_token.copy_(tensors["null_token"])
    return model.eval()


def _build_unet(folder: Path) -> UNet2DConditionModel:
    config = read_json(folder / "unet.json", "restore it")
    config.pop("_class_name", None)
    return UNet2DConditionModel(**config)


def _build_autoencoder(folder: Path) -> AutoencoderKL | VQModel:
    path = folder / "autoencoder.json"
    config = read_json(path, "restore it")
    kind = config.pop("_class_name", None)
    if kind not in AUTOENCODERS:
        raise ValueError(f"{path}: _class_name {kind}, known are {', '.join(AUTOENCODERS)}")
    return AUTOENCODERS[kind](**config)


def zero_initialize(unet: UNet2DConditionModel | ConditionalUNet) -> None:
    """Zeroes what CompVis zeroes at the start: the last layer of each residual block, of each attention block and
    SpatialTransformer and of the network; diffusers zeroes nothing. The output is then 0."""
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")) or _ENDS.search(name):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


def _public_config(module: UNet2DConditionModel | AutoencoderKL | VQModel) -> dict[str, Any]:
    kept = {key: value for key, value in module.config.items() if not key.startswith("_") and value is not None}
    return {"_class_name": type(module).__name__, **kept}
