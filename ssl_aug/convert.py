"""python -m ssl_aug.convert CKPT --out DIR [--clip PATH|TAG]

Turns the published latent diffusion checkpoint (cin256-v2, model.ckpt) into a folder of safetensors and JSON that loads
faster and holds no pickle: generator=ldm generator.checkpoint=DIR. Outputs are the same from either.

  --out DIR        the folder to write; must not exist
  --clip PATH|TAG  put CLIP's weights in too: a file, a folder, or a tag of open_clip ("openai"); without it the folder
                   holds none, and generator.clip_checkpoint names them when it is used
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ssl_aug.runtime import command, file_hash


def convert(checkpoint: Path, out: Path, clip: str | None) -> None:
    """Writes `out` whole, or not at all.

    Raises:
        FileNotFoundError: no such checkpoint, or no CLIP weights.
        FileExistsError: `out` is there already.
        ValueError: the file is not the published checkpoint.
    """
    from generators import compvis, ldm
    from generators.files import written_whole

    if out.exists():
        raise FileExistsError(f"--out {out} exists already: name a new folder")
    with written_whole(out) as part:
        model = compvis.load(checkpoint, clip) if clip else compvis.load_without_clip(checkpoint)
        model.facts.source_sha256 = file_hash(checkpoint)
        ldm.save(model, part, with_clip=clip is not None)
    count = sum(parameter.numel() for parameter in model.unet.parameters()) / 1e6
    print(f"{out}: UNet of {count:.2f} M parameters, autoencoder, null token{', CLIP' if clip else ''}")


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ValueError(f"{message}; python -m ssl_aug.convert CKPT --out DIR [--clip PATH|TAG]")


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print((__doc__ or "").strip())
        return
    parser = _OneLineParser(add_help=False, allow_abbrev=False)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clip")
    given = parser.parse_args(arguments)
    convert(given.checkpoint, given.out, given.clip)


if __name__ == "__main__":
    command(main)
