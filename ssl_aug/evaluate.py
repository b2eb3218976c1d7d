"""python -m ssl_aug.evaluate [name=value ...]

Measures synthetic images beside as many real ones: share of the right class, distance to the training images,
diversity, near-copies. The set that the settings name is drawn first where it is not there; of a finished one
synthetic.root=DIR says them all. What so few images cannot tell, or features that do not know them, is not told.

  table=1|3, figure=1|4  the paper's, with its figures beside ours; on toycars minutes, with experiment=paper its own
  sweep=...              mask_rate, approach or tune_steps, or several joined by +: each combination of values, with
                         condition=image unless told otherwise

A stopped evaluation goes on behind the last set that it measured when the same command is given again.
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.command_line import compose, refuse_accidental_toy
from ssl_aug.data import hf_library
from ssl_aug.endings import MEMORY_OF_DRAWING
from ssl_aug.evaluation.settings import EvaluateSettings, refuse_words_of_others
from ssl_aug.help import fields_of, generation_rows, held_by, options_of, rows, without_help
from ssl_aug.runtime import command
from ssl_aug.synthetic import is_finished, with_words_of_set
from ssl_aug.words import overrides_of

FLAGS = {"--out": "out", "--device": "device", "--per-sample": "per_sample"}
SWITCHES = {"--dry-run": "dry_run"}
SETTINGS = Path(__file__).parent / "evaluation" / "settings.py"


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        groups = [f"  {group}={'|'.join(options_of(group))}" for group in ("data", "generator", "experiment")]
        words = overrides_of(without_help(arguments), FLAGS, SWITCHES)
        settings = compose("evaluate", words, EvaluateSettings) if words else None
        held = held_by(settings, settings.sampling()) if settings else None
        own = rows("", fields_of(SETTINGS, "EvaluateSettings"), held=held)
        shown = [*own, *generation_rows(held)]
        print("\n".join([(__doc__ or "").strip(), "", "Groups:", *groups, "", "Settings:", *shown]))
        return
    words = with_words_of_set(overrides_of(arguments, FLAGS, SWITCHES), EvaluateSettings, draws=True)
    settings = compose("evaluate", words, EvaluateSettings)
    refuse_words_of_others(settings, words)
    hf_library.refuse_at_once(settings.data)  # before torch and all else is loaded, which takes seconds
    from generators.first_look import refuse_at_once

    if not (settings.synthetic.root and is_finished(Path(settings.synthetic.root))):
        refuse_accidental_toy(settings.data.name, settings.generator.name, words)
        refuse_at_once(settings.generator)
    if settings.dry_run:
        from ssl_aug.evaluation.foretold import foretold

        for line in foretold(settings):
            print(line, flush=True)
        return
    from ssl_aug.evaluation.sets import evaluate

    evaluate(settings)


if __name__ == "__main__":
    command(main, memory=MEMORY_OF_DRAWING)
