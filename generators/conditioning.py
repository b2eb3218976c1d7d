"""The condition: one token, the CLIP embedding of an image or a text (paper, Eq. 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from generators.clip_activation import check_activation
from generators.clip_tokenizer import clip_tokenizer
from generators.image_encoder import ImageTower
from generators.network import how_to_fetch, may_fetch
from generators.weights import check_fit, fill, read_shapes, read_weights

_DEFAULT_TAGS = {"ViT-H-14": "laion2b_s32b_b79k"}  # Stable Diffusion 2.x was trained with it; of all others: openai
_QUICK = "-quickgelu"  # open_clip's ending of names with OpenAI's activation
CLIP_FILES = ("open_clip_model.safetensors", "model.safetensors", "open_clip_pytorch_model.bin")


class ClipEncoder(nn.Module):
    """A frozen open_clip model as phi: images or texts to single condition tokens.

    Embeddings are raw, not of unit length: the class embedding that the token replaces had norm 22.6, and unit
    vectors would shrink the signal twentyfold. Text embeddings are rescaled to the images' mean norm.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any], image_norm: float | None):
        """
        Args:
            config: open_clip's model config: embed_dim, vision_cfg, text_cfg; without text_cfg it takes images alone.
            image_norm: mean norm of image embeddings, the length that text embeddings are given; None: not known yet,
                tuning measures it.
        """
        super().__init__()
        self.config = config
        self.image_norm = image_norm
        self.tokens = "pooled"  # or patches: the embeddings of the image's patches as well
        self.model: nn.Module = open_clip.CLIP(**config) if "text_cfg" in config else ImageTower(config)
        self.model.requires_grad_(False).eval()
        context_length = config["text_cfg"]["context_length"] if "text_cfg" in config else 0
        self.tokenizer = clip_tokenizer(context_length)
        self.register_buffer("mean", torch.tensor(open_clip.OPENAI_DATASET_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(open_clip.OPENAI_DATASET_STD), persistent=False)

    @property
    def width(self) -> int:
        """Size of the condition token."""
        return int(self.config["embed_dim"])

    @property
    def image_size(self) -> int:
        """Pixels that images are scaled to."""
        return int(self.config["vision_cfg"]["image_size"])

    def preprocess(self, images: Tensor) -> Tensor:
        """Images in [-1, 1], (b, 3, h, w), to what the image tower takes, (b, 3, s, s)."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            images = F.interpolate(images, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
        return ((images + 1) / 2 - self.mean[:, None, None]) / self.std[:, None, None]

    def fill(self, name: str) -> Tensor:
        """(3,) color in [-1, 1] of an erased rectangle: CLIP's mean (0 after its normalization), grey or black."""
        colors = {
            "mean": self.mean * 2 - 1,
            "grey": torch.zeros_like(self.mean),
            "black": -torch.ones_like(self.mean),
        }
        return colors[name]

    def embed_images(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) images in [-1, 1] -> (b, n, d) tokens: n is 1, or 1 + the number of patches.

        Raises:
            ValueError: patches of a CLIP whose image tower is no transformer.
        """
        pixels = self.preprocess(images)
        if self.tokens == "pooled":
            embedding: Tensor = self.model.encode_image(pixels)
            return embedding.float()[:, None]
        tower = self.model.visual
        if not isinstance(tower, VisionTransformer):
            raise ValueError("generator.tokens=patches: this CLIP's image tower is no transformer; use tokens=pooled")
        last = len(tower.transformer.resblocks) - 1
        found = tower.forward_intermediates(
            pixels, indices=[last], output_fmt="NLC", output_extra_tokens=True, normalize_intermediates=True,
            intermediates_only=True,
        )  # fmt: skip
        whole = torch.cat([found["image_intermediates_prefix"][0], found["image_intermediates"][0]], dim=1)
        return (whole @ tower.proj).float()

    @property
    def num_tokens(self) -> int:
        """How many tokens an image gives."""
        if self.tokens == "pooled":
            return 1
        patch = int(self.config["vision_cfg"].get("patch_size", self.image_size))
        return 1 + (self.image_size // patch) ** 2

    def embed_texts(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (b, 1, d) tokens of the images' mean norm.

        Raises:
            ValueError: that norm is not known, or there is no text tower.
        """
        if "text_cfg" not in self.config:
            raise ValueError(f"prompt={prompts[0]!r}: this model embeds images alone; leave the prompt out")
        if self.image_norm is None:
            raise ValueError("a prompt needs the mean norm of image embeddings, which tuning measures: tune first")
        embedding = self.model.encode_text(self.tokenizer(list(prompts)).to(self.mean.device)).float()
        return (F.normalize(embedding, dim=-1) * self.image_norm)[:, None]


def clip_config(name: str) -> dict[str, Any]:
    """open_clip's config of a model that it knows by name."""
    config: dict[str, Any] | None = open_clip.get_model_config(name)
    if config is None:
        raise ValueError(f"{name}: open_clip knows no such model")
    return config


def load_clip(module: nn.Module, source: str | None, name: str) -> None:
    """Fills a CLIP model with weights: every tensor, nothing left over.

    Args:
        source: a file or a folder that holds one of CLIP_FILES, or a tag of open_clip, or its name and tag as
            ViT-L-14/openai; None: "openai", or where OpenAI has no such model, LAION's.

    Raises:
        FileNotFoundError: no such file, or weights of a tag that are not on this machine, with where to get them.
        ValueError: an unknown tag, or weights of another model.
    """
    path = clip_file(source, name)
    weights = _only_weights(_read_clip(path, name), module)
    fill(module, weights, _complaint(path, name))


def check_clip(path: Path, name: str, config: dict[str, Any]) -> None:
    """Says whether a file can be of this CLIP, by its names and shapes; of PyTorch's files only reading tells.

    Raises:
        ValueError: weights of another model, or a damaged file.
    """
    if path.suffix != ".safetensors":
        return
    with torch.device("meta"):
        module = open_clip.CLIP(**config)
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    check_fit(_only_weights(read_shapes(path), module), shapes, _complaint(path, name))


def _complaint(path: Path, name: str) -> str:
    return f"generator.clip_checkpoint={path} does not hold {name} in open_clip's names"


def _only_weights(weights: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    numbers = {"input_resolution", "context_length", "vocab_size", "attn_mask"} - module.state_dict().keys()
    named = {key.removeprefix("module."): tensor for key, tensor in weights.items()}
    return {key: tensor for key, tensor in named.items() if key not in numbers}


def clip_file(source: str | None, name: str) -> Path:
    """The file that a path, a folder or a tag means; a tag's file must be in the hub's cache or may be fetched.

    Raises:
        FileNotFoundError: no such file, or weights of a tag that are not on this machine.
        ValueError: an unknown tag, or weights that the config beside them says are of another activation.
    """
    named, _, tag_of_name = (source or "").partition("/")
    if source is not None and not Path(source).exists() and named in open_clip.list_models():
        if named.removesuffix(_QUICK) != name.removesuffix(_QUICK):
            raise ValueError(f"generator.clip_checkpoint={source}: this generator takes {name}; give its tag or a file")
        source = tag_of_name or None
    if source is not None and (Path(source).exists() or "/" in source or Path(source).suffix):
        path = Path(source)
        if path.is_dir():
            inside = [path / file for file in CLIP_FILES if (path / file).is_file()]
            if not inside:
                raise FileNotFoundError(f"generator.clip_checkpoint={path} holds none of {', '.join(CLIP_FILES)}")
            path = inside[0]
        if not path.is_file():
            raise FileNotFoundError(f"generator.clip_checkpoint={path}: there is no such file")
        known = open_clip.get_model_config(name)  # None: a model folder's own, whose config lies there
        if known is not None:
            check_activation(path, name, is_quick=bool(known.get("quick_gelu", False)))
        return path
    tag = source or _DEFAULT_TAGS.get(name, "openai")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise ValueError(
            f"generator.clip_checkpoint={tag}: {name} has no such weights; choose one of {', '.join(tags)}"
        )
    return _from_hub(tag, name)


def _from_hub(tag: str, name: str) -> Path:
    repository = _repository(tag, name)
    file = CLIP_FILES[0]
    known = try_to_load_from_cache(repository, file) if repository else None
    if isinstance(known, str):
        return Path(known)
    if repository and may_fetch():
        return Path(hf_hub_download(repository, file))
    address = f"https://huggingface.co/{repository}/resolve/main/{file}" if repository else f"open_clip's {tag}"
    raise FileNotFoundError(
        f"CLIP's weights ({name}, {tag}) are not on this machine: download {address} and give "
        f"generator.clip_checkpoint=FILE; {how_to_fetch()}"
    )


def _repository(tag: str, name: str) -> str:
    return str(open_clip.get_pretrained_cfg(name, tag).get("hf_hub") or "").strip("/")


def _read_clip(path: Path, name: str) -> dict[str, Tensor]:
    try:
        return read_weights(path)
    except ValueError as error:
        published = _repository(_DEFAULT_TAGS.get(name, "openai"), name) or "its publisher"
        raise ValueError(
            f"generator.clip_checkpoint: {error}; OpenAI's own .pt files hold a program: take {CLIP_FILES[0]} of "
            f"{published}"
        ) from error
