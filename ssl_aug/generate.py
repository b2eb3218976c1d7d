"""python -m ssl_aug.generate [flags] [name=value ...]

Draws synthetic images from each labeled image: few-label split, tuning (once), masked sampling. A stopped run goes
on where it stopped when the same command is given again.

  --per-sample N   images per labeled image (per_sample)
  --out DIR        folder of the set (synthetic.root)
  --dry-run        print what would be done or refused, disk and time, write nothing (dry_run=true)
  --device D       auto, cpu or cuda (device)

Drawings that look wrong may be thrown out of a finished set: delete the files, or list their paths, as they stand in
manifest.csv, in rejected.txt in the set's folder. Every command then leaves them out, and a later run of this one
draws deleted ones again, as they were, only with synthetic.refill=true.
"""

from __future__ import annotations

import sys

from ssl_aug.callable_commands import GenerateCommand
from ssl_aug.command_line import compose, refuse_accidental_toy
from ssl_aug.data import hf_library
from ssl_aug.endings import MEMORY_OF_DRAWING
from ssl_aug.help import generation_help, without_help
from ssl_aug.runtime import command
from ssl_aug.settings import Settings
from ssl_aug.words import overrides_of

FLAGS = {"--per-sample": "per_sample", "--out": "synthetic.root", "--device": "device"}
SWITCHES = {"--dry-run": "dry_run"}


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print(generation_help(__doc__ or "", "generate", overrides_of(without_help(arguments), FLAGS, SWITCHES)))
        return
    words = overrides_of(arguments, FLAGS, SWITCHES)
    settings = compose("generate", words, Settings)
    refuse_accidental_toy(settings.data.name, settings.generator.name, words)
    hf_library.refuse_at_once(settings.data)  # before torch and all else is loaded, which takes seconds
    from generators.first_look import refuse_at_once

    refuse_at_once(settings.generator)
    from ssl_aug.data.build import load_and_tell

    dataset, split = load_and_tell(settings.data)
    if settings.dry_run:
        from ssl_aug.drawing.foretold import foretold

        print(foretold(settings, dataset, split))
        return
    from ssl_aug.drawing.draw import draw_set
    from ssl_aug.drawing.next_commands import next_commands

    synthetic = draw_set(settings, dataset, split)
    for line in next_commands(synthetic, split, settings.data.name, words) if synthetic is not None else ():
        print(line)


sys.modules[__name__].__class__ = GenerateCommand  # `ssl_aug.generate(data, settings)` in Python

if __name__ == "__main__":
    command(main, memory=MEMORY_OF_DRAWING)
