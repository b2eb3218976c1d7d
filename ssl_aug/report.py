"""python -m ssl_aug.report [flags] [name=value ...]

Writes one HTML page to look at a synthetic set: what looks wrong first, every labeled image beside its drawings, and
where they are there the accuracies of its runs, its evaluation and its tuning. The page needs no network and no
server. Of a finished set its folder says all: synthetic.root=DIR.

  --out FILE         the page (out); by default report.html in the set's folder. Only a report of the same set is
                     written over
  --runs DIR         folder of trained classifiers (runs); by default outputs/runs, where there is one
  --evaluation DIR   folder of one evaluation (evaluation); by default those of this set in outputs/evaluation
  --dry-run          print what would be written (dry_run=true)
"""

from __future__ import annotations

from ssl_aug.command_line import compose
from ssl_aug.data import hf_library
from ssl_aug.help import generation_help
from ssl_aug.reporting.settings import ReportSettings
from ssl_aug.runtime import command
from ssl_aug.synthetic import with_words_of_set
from ssl_aug.words import overrides_of

FLAGS = {"--out": "out", "--runs": "runs", "--evaluation": "evaluation"}
SWITCHES = {"--dry-run": "dry_run"}


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print(generation_help(__doc__ or ""))
        return
    words, why_no_data = overrides_of(arguments, FLAGS, SWITCHES), ""
    try:
        said = with_words_of_set(words, ReportSettings, draws=True)
    except FileNotFoundError as error:  # a set that was copied without its data is looked at without them
        said, why_no_data = words, str(error)
    settings = compose("report", said, ReportSettings)
    if not why_no_data:
        hf_library.refuse_at_once(settings.data)
    from ssl_aug.reporting.making import report

    report(settings, why_no_data)


if __name__ == "__main__":
    command(main, after_interrupt="give the same command again")
