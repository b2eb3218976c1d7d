"""What to do with a finished set, as commands to copy."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ssl_aug.data.base import Split
from ssl_aug.settings import EMBEDDED_DATA
from ssl_aug.synthetic import SyntheticSet, record_of, why_unlabeled, word_of

OF_TRAINING = ("experiment", "device", "precision")  # what a training takes over from the command that drew
MODEL_OF_PHOTOS = "resnet50"  # of configs/model: weights of ImageNet
OF_MEASURING = ("device", "precision")
NO_TEST = "# these data have no test images; where some are added (test/<class>/ of a folder), accuracies are told by:"


def next_commands(synthetic: SyntheticSet, split: Split, data: str, words: Sequence[str]) -> list[str]:
    """A page to look at it, the benchmark without and with it, its evaluation, its export; fewer where it is not fit.

    Args:
        split: what the set was drawn for.
        data: the name of its dataset.
        words: those of the command line that drew it, all as name=value.
    """
    root = word_of("synthetic.root", str(synthetic.folder))
    training, measuring = (
        [word for word in words if word.partition("=")[0] in names] for names in (OF_TRAINING, OF_MEASURING)
    )
    if data not in EMBEDDED_DATA and not any(word.startswith("experiment=") for word in words):
        training = [f"model={MODEL_OF_PHOTOS}", *training]
    commands = []
    if why_unlabeled(record_of(synthetic.folder)) is None:
        export = ["--to", "folder", "--out", str(Path("outputs/export") / synthetic.folder.resolve().name)]
        commands += [["benchmarks.run", root, f"augment={augment}", *training] for augment in ("false", "true")]
        commands += [["ssl_aug.export", *export, root]]
    if any(int(row["k"]) > 0 for row in synthetic.rows):  # diversity needs two of one labeled image
        commands.insert(2, ["ssl_aug.evaluate", root, *measuring])
    commands = [["ssl_aug.report", root], *commands]
    lines = [shlex.join(["python", "-m", *command]) for command in commands]
    if not split.test.examples:  # first what can be done now
        lines = [lines[0], *lines[3:], NO_TEST, *lines[1:3]] if len(lines) > 3 else lines
    return lines
