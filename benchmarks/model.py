"""The classifier: a timm backbone and the published benchmark's bottleneck head (TLlib), and where weights
come from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from benchmarks.methods.base import Classifier
from benchmarks.settings import ModelSettings
from ssl_aug.files import read_json
from ssl_aug.runtime import why_nothing_is_fetched
from ssl_aug.settings import EMBEDDED
from ssl_aug.shipped import BACKBONE, refuse_altered_weights
from ssl_aug.weights import read_weights

RESNET50_V1 = "https://download.pytorch.org/models/resnet50-0676ba61.pth"


# What trainers put in front of a backbone's names.
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "network.", "encoder.")


@dataclass(frozen=True)
class Inputs:
    """What a backbone expects: square images of `image_size` pixels, normalized per channel."""

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def normalized(images: Tensor, inputs: Inputs) -> Tensor:
    """(x / 255 - mean) / std of uint8 images (b, 3, s, s), as float32 on their device."""
    mean, std = _mean_and_std(inputs, images.device)
    return (images.float() / 255 - mean) / std


@lru_cache(maxsize=8)
def _mean_and_std(inputs: Inputs, device: torch.device) -> tuple[Tensor, Tensor]:
    """(3, 1, 1) each: put on the device once, which a GPU would wait for each time."""
    mean, std = (torch.tensor(each, device=device).view(3, 1, 1) for each in (inputs.mean, inputs.std))
    return mean, std


def build_classifier(settings: ModelSettings, num_classes: int) -> tuple[Classifier, Inputs]:
    """Backbone with its weights, new bottleneck and head drawn from torch's generator.

    Raises:
        ValueError: an unknown model, arguments it does not take, weights that are not there or do not fit it.
        FileNotFoundError: no such weights file.
    """
    backbone, inputs = _backbone(settings)
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, 3, inputs.image_size, inputs.image_size))
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"model.name={settings.name} does not take RGB images of {inputs.image_size} pixels ({error}): "
            "set model.image_size to a size that it takes"
        ) from error
    if features.ndim != 2:
        raise ValueError(f"model.name={settings.name}: gives features of shape {tuple(features.shape)}, not (1, f)")
    bottleneck = build_bottleneck(features.shape[1], settings.bottleneck_width, settings.dropout)
    return Classifier(backbone, bottleneck, nn.Linear(settings.bottleneck_width, num_classes)), inputs


def build_bottleneck(num_features: int, width: int, dropout: float) -> nn.Sequential:
    """Linear (weights N(0, 0.005^2), bias 0.1), BatchNorm, ReLU, Dropout: (b, f) -> (b, width)."""
    linear = nn.Linear(num_features, width)
    nn.init.normal_(linear.weight, std=0.005)
    nn.init.constant_(linear.bias, 0.1)
    return nn.Sequential(linear, nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout))


def _backbone(settings: ModelSettings) -> tuple[nn.Module, Inputs]:
    if settings.name == "embedded":
        return _embedded(settings)
    if not timm.is_model(settings.name.split(".")[0]):
        close = get_close_matches(settings.name, timm.list_models(), n=3)
        hint = f"; close: {', '.join(close)}" if close else ""
        raise ValueError(f"model.name={settings.name}: timm has no such model{hint}")
    if settings.pretrained and not settings.checkpoint:
        backbone = _published(settings)
    else:
        backbone = _created(settings)
        if settings.checkpoint:
            load_weights(backbone, Path(settings.checkpoint))
    own = backbone.pretrained_cfg
    return backbone, Inputs(
        settings.image_size or own["input_size"][-1],
        tuple(settings.mean or own["mean"]),
        tuple(settings.std or own["std"]),
    )


def _embedded(settings: ModelSettings) -> tuple[nn.Module, Inputs]:
    refuse_altered_weights(EMBEDDED, BACKBONE)
    facts = read_json(EMBEDDED / "backbone.json")
    backbone = _created(ModelSettings(name=facts["name"], arguments=facts["arguments"]))
    load_weights(backbone, EMBEDDED / "backbone.safetensors")
    return backbone, Inputs(
        settings.image_size or facts["image_size"],
        tuple(settings.mean or facts["mean"]),
        tuple(settings.std or facts["std"]),
    )


def _created(settings: ModelSettings) -> nn.Module:
    try:
        # keys come from the user's file; timm is the one to say which it takes
        return timm.create_model(settings.name, num_classes=0, **settings.arguments)
    except (TypeError, RuntimeError, AssertionError) as error:
        raise ValueError(
            f"model.name={settings.name} with model.arguments={settings.arguments}: timm refuses it ({error})"
        ) from error


def _published(settings: ModelSettings) -> nn.Module:
    """timm's weights. Which errors a missing network raises depends on the hub library: all mean the same here."""
    why = why_nothing_is_fetched()  # where the hub does not answer, its library is told: it then asks its cache alone
    try:
        return timm.create_model(settings.name, num_classes=0, pretrained=True, **settings.arguments)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        file = f"download {RESNET50_V1}" if settings.name.startswith("resnet50.tv_in1k") else "download them"
        raise ValueError(
            f"model.name={settings.name}: its pretrained weights are not on this machine; {file} and give "
            f"model.checkpoint=FILE; {why or 'they could not be fetched'} ({type(error).__name__})"
        ) from error


def load_weights(backbone: nn.Module, path: Path) -> None:
    """Fills `backbone` from a file: every one of its weights, and nothing left over but the old classifier's.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a weights file, or its names or shapes are not this backbone's; they are listed.
    """
    wanted = backbone.state_dict()
    found = _without_prefix(_read(path), wanted)
    # Files of old torch versions have no counter of batches; nothing here reads it.
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in found if key not in wanted and not _of_classifier(key, backbone)]
    shapes = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    if missing or unexpected or shapes:
        wrong = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
        listed = "; ".join(f"{kind}: {_shortened(keys)}" for kind, keys in wrong.items() if keys)
        raise ValueError(f"model.checkpoint={path} does not fit model.name ({listed}): name the model it belongs to")
    backbone.load_state_dict({key: found.get(key, value) for key, value in wanted.items()})


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return read_weights(path)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f"model.checkpoint={error}") from error


def _without_prefix(found: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the backbone's own names, where a trainer put its own in front of them; says so.

    Of DistributedDataParallel, torch.compile and Lightning, in any order; what stands beside the backbone is left out.
    """
    prefix = ""
    while not any(prefix + name in found for name in wanted):
        longer = next((prefix + one for one in _PREFIXES if any(key.startswith(prefix + one) for key in found)), None)
        if longer is None:
            return found
        prefix = longer
    kept = {key.removeprefix(prefix): tensor for key, tensor in found.items() if key.startswith(prefix)}
    if prefix:
        beside = f", and {len(found) - len(kept)} others were left out" if len(found) > len(kept) else ""
        print(f"model.checkpoint: names are read without their {prefix}{beside}", file=sys.stderr)
    return kept


def _of_classifier(key: str, backbone: nn.Module) -> bool:
    classifier = backbone.pretrained_cfg.get("classifier") or ()
    names: Sequence[str] = (classifier,) if isinstance(classifier, str) else classifier
    return any(key.startswith(f"{name}.") for name in names)


def _shortened(keys: Sequence[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
