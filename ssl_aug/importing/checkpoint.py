"""The published checkpoint as a folder of ours."""

from __future__ import annotations

from pathlib import Path

from generators import compvis, model_folder
from generators.files import written_whole
from generators.hub import is_hub_id
from ssl_aug.data.contents import content_hash
from ssl_aug.files import refuse_existing
from ssl_aug.lock import forget_dead, locked_beside


def convert(checkpoint: Path, out: Path, clip: str | None) -> None:
    """Writes `out` whole, or not at all.

    Raises:
        FileNotFoundError: no such checkpoint, or no CLIP weights.
        FileExistsError: `out` is there already.
        ValueError: not the published checkpoint's file, but a folder, a hub id or another file.
    """
    if checkpoint.is_dir():
        raise ValueError(
            f"{checkpoint} is a folder: give it as generator.checkpoint={checkpoint}; convert takes model.ckpt"
        )
    if is_hub_id(str(checkpoint)):
        raise ValueError(
            f"{checkpoint}: there is no such file; a diffusers pipeline's name on the hub is taken as it is, "
            f"generator.checkpoint={checkpoint}; convert takes model.ckpt"
        )
    forget_dead(out)
    refuse_existing(out)
    with locked_beside(out, "converting to"), written_whole(out) as part:
        model = compvis.load(checkpoint, clip) if clip else compvis.load_without_clip(checkpoint)
        model.facts.source_sha256 = content_hash(checkpoint)
        model_folder.save(model, part, with_clip=clip is not None)
    count = sum(parameter.numel() for parameter in model.unet.parameters()) / 1e6
    print(f"{out}: UNet of {count:.2f} M parameters, autoencoder, null token{', CLIP' if clip else ''}")
