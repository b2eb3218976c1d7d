"""The Inception network of 2015, by torch-fidelity: what FID, KID and the Inception Score are defined with."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import torch
from torch import Tensor, nn

from generators.network import how_to_fetch, may_fetch
from generators.weights import read_weights
from ssl_aug.data.contents import content_hash
from ssl_aug.files import written_atomically

SHA256_STARTS = "6726825d"  # as the published file's name says
NAMES = (f"weights-inception-2015-12-05-{SHA256_STARTS}.pth", f"pt_inception-2015-12-05-{SHA256_STARTS}.pth")
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAMES[0]}"
WIDTH, NUM_LOGITS = 2048, 1008
INSTALL = "pip install 'ssl_aug[fid]'"


def load_inception(path: Path) -> nn.Module:
    """The network with the weights of a file: (b, 3, h, w) uint8 -> (b, 2048) features and (b, 1008) logits.

    Raises:
        ValueError: torch-fidelity is not installed, or the file holds other weights.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ValueError(f"features=inception needs torch-fidelity: {INSTALL}") from error
    read_weights(path)  # torch-fidelity would run code in the file; here such a file is refused
    try:
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"inception_checkpoint={path}: no weights of this network ({reason})") from error
    return network


def inception_file(checkpoint: str | None, unverified: bool) -> Path:
    """The published weights: the given file, the one in torch hub's cache, or fetched into it where that is allowed.

    Args:
        unverified: whether another file than the published one will do.

    Raises:
        FileNotFoundError: there is none, and none can be fetched.
        ValueError: a file that is not the published one.
    """
    path = Path(checkpoint) if checkpoint is not None else _in_hub_cache() or _fetched()
    if not path.is_file():
        raise FileNotFoundError(f"inception_checkpoint={path}: there is no such file")
    found = content_hash(path)
    if not found.startswith(SHA256_STARTS) and not unverified:
        raise ValueError(
            f"inception_checkpoint={path}: its sha256 begins with {found[:8]}, that of the published weights with "
            f"{SHA256_STARTS}: take {URL}; with inception_unverified=true any file is taken, and nothing is called FID"
        )
    return path


def embed(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """(b, s, s, 3) uint8 -> features and logits; the network scales as TensorFlow 1 did."""
    features, logits = network(images.permute(0, 3, 1, 2).contiguous())
    return features, logits


def _hub_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _in_hub_cache() -> Path | None:
    return next((path for path in (_hub_folder() / name for name in NAMES) if path.is_file()), None)


def _fetched() -> Path:
    path = _hub_folder() / NAMES[0]
    wanted = f"features=inception needs the weights {NAMES[0]}: fetch {URL} and give inception_checkpoint=FILE"
    if not may_fetch():
        raise FileNotFoundError(f"{wanted} (or put it into {path.parent}; {how_to_fetch()})")
    try:
        with written_atomically(path, sweep=True) as part:
            torch.hub.download_url_to_file(URL, str(part), SHA256_STARTS)
    except (urllib.error.URLError, TimeoutError, RuntimeError) as error:  # RuntimeError: another hash
        raise FileNotFoundError(f"{wanted}; it could not be fetched here ({str(error)[:160]})") from error
    return path
