"""python -m ssl_aug.tune [name=value ...]

Adapts the generator to the training images, without their labels (paper 3.2). A stopped run goes on where it stopped.
"""

from __future__ import annotations

import sys

from ssl_aug.callable_commands import TuneCommand
from ssl_aug.command_line import compose, refuse_accidental_toy
from ssl_aug.data import hf_library
from ssl_aug.endings import MEMORY_OF_TUNING
from ssl_aug.help import generation_help, without_help
from ssl_aug.runtime import command
from ssl_aug.settings import Settings
from ssl_aug.words import overrides_of

FLAGS = {"--device": "device"}
SWITCHES = {"--dry-run": "dry_run"}


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print(generation_help(__doc__ or "", "tune", overrides_of(without_help(arguments), FLAGS, SWITCHES)))
        return
    words = overrides_of(arguments, FLAGS, SWITCHES)
    settings = compose("tune", words, Settings)
    refuse_accidental_toy(settings.data.name, settings.generator.name, words)
    hf_library.refuse_at_once(settings.data)  # before torch and all else is loaded, which takes seconds
    from generators.first_look import refuse_at_once

    refuse_at_once(settings.generator)
    if settings.dry_run:
        from ssl_aug.tuning.foretold import foretold

        print(foretold(settings))
        return
    from ssl_aug.tuning.adapter import tune_as_asked

    print(tune_as_asked(settings))


sys.modules[__name__].__class__ = TuneCommand  # `ssl_aug.tune(data, settings)` in Python

if __name__ == "__main__":
    command(main, memory=MEMORY_OF_TUNING)
