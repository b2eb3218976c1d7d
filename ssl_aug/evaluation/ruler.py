"""What sets are measured against: the features of real images, and a judge of classes."""

from __future__ import annotations

import sys

import numpy as np
import torch

from ssl_aug.data.base import Dataset
from ssl_aug.evaluation import rules
from ssl_aug.evaluation.copies import Copies, Pair, TuningImages
from ssl_aug.evaluation.features import Extractor, extractor
from ssl_aug.evaluation.judge import Judge, JudgeSettings, LinearJudge, trained_judge
from ssl_aug.evaluation.measures import MomentSums, share_interval
from ssl_aug.evaluation.reading import squares_in_batches
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.sums import MOST_COMPARED, Images, Real, Sums, chosen_rows
from ssl_aug.evaluation.table_text import ERRORS, Row, titles
from ssl_aug.runtime import Placement, progress_bar
from ssl_aug.settings import EMBEDDED, EMBEDDED_DATA
from ssl_aug.shipped import BACKBONE, refuse_altered_weights
from ssl_aug.world.paint import paint_in

MOST_FITTED = 10_000  # labeled images that a linear judge is fitted to


class Ruler:
    """The judge and the real images' features; `notes` has what is said below the table."""

    def __init__(
        self,
        settings: EvaluateSettings,
        features: str,
        dataset: Dataset,
        size_px: int,
        needs_classes: bool,
        place: Placement,
    ):
        """
        Args:
            features: what they are called in the table (`features_of`).
            size_px: side of the drawn images, which real ones are scaled to.
            needs_classes: whether classes are judged at all.

        Raises:
            FileNotFoundError, ValueError: weights that are not there, or an image that cannot be read.
        """
        self.needs_classes = needs_classes
        self.dataset, self.size_px, self.called = dataset, size_px, titles(features)["frechet_distance"]
        self.paint = paint_in(settings.prompt) if dataset.name == "toycars" else None
        self.notes: list[str] = []
        self.unknown = rules.why_unknown(settings)
        self.extractor: Extractor | None = None if self.unknown else extractor(settings, place)
        self.judge: Judge | None = None
        self.judge_accuracy: float | None = None
        is_trained = needs_classes and settings.data.name in EMBEDDED_DATA
        if is_trained:
            refuse_altered_weights(EMBEDDED, BACKBONE)
            self.judge = trained_judge(dataset, EMBEDDED, JudgeSettings(steps=settings.judge_trained_for), place)
        self.real: Real | None = None
        if self.extractor is not None:
            self.real = self._look_at_real(self.extractor, fits_judge=settings.data.name not in EMBEDDED_DATA)
        self._ask_judge(is_linear=isinstance(self.judge, LinearJudge))
        unjudged = rules.why_unjudged(settings, self.unknown is not None) if needs_classes else None
        if not dataset.test.examples:
            judged = ", and nothing tells how often the judge is right" if self.judge is not None else ""
            self.note(f"there are no test images, so no row of real images to compare with{judged}")
        self.why_no_copies = rules.why_copies_unknown(settings)
        for note in (self.unknown, unjudged, self.why_no_copies):
            if note is not None:
                self.note(note)

    def note(self, text: str) -> None:
        """Says something below the table, once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def title(self) -> str:
        """What stands above the table."""
        images = f"{self.dataset.name}: {len(self.dataset.training_images)} training images"
        if self.extractor is None:
            return images
        of_what = f"{self.called} against them all at {self.extractor.size_px or self.size_px} pixels"
        return f"{images}; {of_what}, in {self.extractor.width} dimensions"

    def measure(self, images: Images, known: TuningImages | None) -> tuple[Row, list[Pair]]:
        """All measures of some images; None in place of a figure that would say nothing, with the reason under `why`.

        Args:
            known: the tuning images that copies are looked for among; None: they are not looked for.
        """
        sums = Sums(images, self.extractor, self.judge, self.paint)
        copies = Copies(known) if known is not None else None
        sizes = {self.size_px, *sums.sizes}
        with progress_bar(len(images.paths), "measuring") as bar:
            for rows, squares in squares_in_batches(images.paths, sizes):
                sums.add(rows, squares, self.size_px)
                if copies is not None:
                    copies.add(squares[self.size_px], images.paths[rows])
                bar.update(rows.stop - rows.start)
        row = sums.row(self.real)
        why: dict[str, str] = row["why"]
        unmeasured = list(rules.OF_FEATURES) if self.unknown is not None else []
        if unmeasured and self.extractor is not None and self.extractor.num_logits:
            unmeasured.append("inception_score")
        needs_features = isinstance(self.judge, LinearJudge)  # a network that was trained on all labels does not
        is_judged = self.judge is not None and not (needs_features and self.unknown is not None)
        if self.needs_classes and images.labels is not None and not is_judged:
            unmeasured.append("class_share")
        why |= dict.fromkeys(unmeasured, rules.NOT_HERE)
        row |= dict.fromkeys([*unmeasured, *(ERRORS[key] for key in unmeasured if key in ERRORS)])
        if self.extractor is not None and "frechet_distance" in why:
            self.note(rules.why_few(self.extractor.width))
        if self.real is not None and max(len(images.paths), self.real.moments.count) > MOST_COMPARED:
            self.note(f"precision, recall and the kernel distance are of {MOST_COMPARED} images of a set at most")
        if copies is not None and self.why_no_copies is None:
            row["near_copy_rate"] = copies.rate()
        elif copies is not None:
            why["near_copy_rate"] = rules.NOT_HERE
        if images.labels is None and self.needs_classes:
            self.note("class %: of images that were drawn without a condition of their own there is no class to show")
        return row, copies.pairs() if copies is not None else []

    # -----------------------------------------------------------------------------------------------------------------

    def _look_at_real(self, extractor: Extractor, fits_judge: bool) -> Real:
        """Moments over all training images, and the features of some; fits the linear judge."""
        paths, labels = self.dataset.training_images, torch.tensor(self.dataset.train.labels)
        kept_rows = chosen_rows(len(paths))
        fitted_rows = chosen_rows(len(labels), MOST_FITTED) if fits_judge else np.zeros(0, dtype=np.int64)
        sums = MomentSums(extractor.width)
        kept, fitted = torch.empty(len(kept_rows), extractor.width), torch.empty(len(fitted_rows), extractor.width)
        size = extractor.size_px or self.size_px
        print(f"measuring {len(paths)} training images in {self.called}", file=sys.stderr, flush=True)
        with progress_bar(len(paths), "training images") as bar:
            for rows, squares in squares_in_batches(paths, [size]):
                features = extractor.embed(squares[size])[0]
                sums.add(features)
                for there, wanted in ((kept, kept_rows), (fitted, fitted_rows)):
                    first, last = np.searchsorted(wanted, [rows.start, rows.stop])
                    there[first:last] = features[torch.from_numpy(wanted[first:last] - rows.start)]
                bar.update(len(features))
        of_fitted = labels[torch.from_numpy(fitted_rows)]
        if len(of_fitted.unique()) > 1:
            print(f"fitting a linear judge to the features of {len(fitted)} images", file=sys.stderr, flush=True)
            self.judge = LinearJudge(fitted, of_fitted)
        return Real(sums.moments(), kept)

    def _ask_judge(self, is_linear: bool) -> None:
        """How often the judge is right on test images, and whether that may be chance."""
        test = self.dataset.test
        if self.judge is None or not test.examples:
            return
        labels = torch.tensor(test.labels)
        features = self.extractor if is_linear else None
        sums = Sums(Images(test.paths, labels), features, self.judge, None)
        for rows, squares in squares_in_batches(test.paths, sums.sizes or [self.size_px]):
            sums.add(rows, squares, self.size_px)
        low, high = share_interval(sums.num_right, len(labels))
        self.judge_accuracy = sums.num_right / len(labels)
        chance = float(labels.bincount().max() / len(labels))
        right = f"{100 * self.judge_accuracy:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {len(labels)} test images"
        self.note(f"the judge ({self.judge.told}) is right on {right}")
        doubt = f"the judge is right on {right}, {100 * chance:.1f} % is chance" if low <= chance else None
        if doubt is not None and is_linear:
            self.unknown = f"{rules.NOT_HERE}: these features do not know these images: {doubt}"
        elif doubt is not None:
            self.note(f"class %: {rules.NOT_HERE}, {doubt}")
            self.judge = None
