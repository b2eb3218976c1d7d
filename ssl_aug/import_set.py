"""python -m ssl_aug.import_set FOLDER --out DIR --made-by TEXT [name=value ...]

Takes images that any other generator made into a synthetic set of this split, so that benchmarks.run can judge them:
benchmarks.run augment=true synthetic.root=DIR.

  FOLDER           <class>/<any name>.png, the class folders named like the data's classes; sources.csv in it may say
                   `path,source`: which labeled image ("<its folder>/<its name>") each was made from
  --out DIR        folder of the set (synthetic.root); must not exist
  --made-by TEXT   which generator, in words; kept with the set
  --link L         copy the image files (default), or link them: hard or symbolic

An image that is one of the test set, pixel for pixel, is refused.
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.command_line import compose
from ssl_aug.data import hf_library
from ssl_aug.help import generation_help
from ssl_aug.importing.settings import ImportSettings
from ssl_aug.runtime import command
from ssl_aug.words import overrides_of

FLAGS = {"--out": "out", "--made-by": "made_by", "--link": "link"}
SWITCHES = {"--dry-run": "dry_run"}


def overrides(words: list[str]) -> list[str]:
    """The command line's words as settings; the first one that is neither a flag nor name=value is the folder."""
    left, plain = list(words), []
    for place, word in enumerate(left):
        after_flag = place > 0 and left[place - 1] in FLAGS
        if not after_flag and not word.startswith("-") and ("=" not in word or Path(word).is_dir()):
            plain.append(word)
            del left[place]
            break
    return overrides_of([*(f"--folder={word}" for word in plain), *left], FLAGS | {"--folder": "folder"}, SWITCHES)


def main(words: list[str]) -> None:
    """The command line."""
    if "--help" in words or "-h" in words:
        print(generation_help(__doc__ or ""))
        return
    settings = compose("import_set", overrides(words), ImportSettings)
    hf_library.refuse_at_once(settings.data)
    from ssl_aug.importing.images import import_set

    import_set(settings)


if __name__ == "__main__":
    command(main)
