"""python -m ssl_aug.convert CKPT --out DIR [--clip PATH|TAG]

Turns the published latent diffusion checkpoint (cin256-v2, model.ckpt) into a folder of safetensors and JSON that loads
faster and holds no pickle: generator=ldm generator.checkpoint=DIR. Outputs are the same from either.

  --out DIR        the folder to write; must not exist
  --clip PATH|TAG  put CLIP's weights in too: a file, a folder, or a tag of open_clip ("openai"); without it the folder
                   holds none, and generator.clip_checkpoint names them when it is used
"""

from __future__ import annotations

import argparse

from generators.allowed import user_path
from ssl_aug.runtime import command


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ValueError(f"{message}; python -m ssl_aug.convert CKPT --out DIR [--clip PATH|TAG]")


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print((__doc__ or "").strip())
        return
    parser = _OneLineParser(add_help=False, allow_abbrev=False)
    parser.add_argument("checkpoint")
    parser.add_argument("--out", required=True)
    parser.add_argument("--clip")
    given = parser.parse_args(arguments)
    from ssl_aug.importing.checkpoint import convert

    clip = None if given.clip is None else str(user_path(given.clip))
    convert(user_path(given.checkpoint), user_path(given.out), clip)


if __name__ == "__main__":
    command(main)
