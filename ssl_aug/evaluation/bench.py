"""Measures sets one after another: draws what is missing, measures what was not measured before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from generators.checkpoints import weights_hash
from generators.settings import TUNED
from ssl_aug.data.base import Dataset, LabeledSet, Split, file_list_id
from ssl_aug.data.contents import hash_memory
from ssl_aug.drawing.draw import draw_set
from ssl_aug.drawing.record import identity
from ssl_aug.evaluation.conditions import conditions_of, drawn_of_each, tuning_images
from ssl_aug.evaluation.copies import TuningImages
from ssl_aug.evaluation.features import clip_of, features_of
from ssl_aug.evaluation.images import images_of, some_of
from ssl_aug.evaluation.plan import Asked, of_other_images
from ssl_aug.evaluation.reading import side_of
from ssl_aug.evaluation.rows import Measured, Rows
from ssl_aug.evaluation.ruler import Ruler
from ssl_aug.evaluation.rules import why_unknown
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.sums import Images
from ssl_aug.interrupts import pass_interrupt_on
from ssl_aug.lock import forget_dead
from ssl_aug.runtime import Placement
from ssl_aug.settings import deciding_pictures
from ssl_aug.synthetic import SyntheticSet, default_folder, is_finished
from ssl_aug.tuning.plan import checkpoint_path

NUM_SHOWN = 8  # of a set's images, in a picture


class Bench:
    """What the sets of one evaluation have in common."""

    def __init__(
        self, settings: EvaluateSettings, dataset: Dataset, split: Split, folder: Path, judges: bool, place: Placement
    ):
        """
        Args:
            folder: where measured rows are kept.
            judges: whether the classes of drawings are judged.
        """
        self.settings, self.dataset, self.split, self.judges, self.place = settings, dataset, split, judges, place
        self.rows, self.folder = Rows(folder), folder
        self._ruler: Ruler | None = None
        self._known: dict[str, TuningImages] = {}
        unknown = why_unknown(settings)
        self.features, weights = (settings.measured_in, "") if unknown else features_of(settings)
        self.ruled_by = {
            "features": [settings.measured_in, weights, settings.features_image_size],
            "judge_steps": settings.judge_trained_for if judges else None,
            "real": file_list_id(dataset.training_images),
            "test": file_list_id(dataset.test.paths),
        }

    def measured(self, asked: Asked, finished: SyntheticSet | None) -> list[Measured]:
        """The row of a set, and of as many of its images as there are real test images, where these are fewer.

        Args:
            finished: the set itself, where it is not to be drawn.

        Raises:
            FileExistsError: the set was measured here when it had other images.
            ValueError: several processes draw it.
        """
        conditions = self.split.labeled if finished else conditions_of(asked.settings, self.dataset, self.split)
        of_each = drawn_of_each(asked.settings, conditions)
        variant = replace(asked.settings, per_sample=of_each)
        key = {**self.ruled_by, "set": finished.id if finished else self._identity(variant, conditions)}
        key |= {"num_images": asked.settings.num_images, "per_sample": of_each, "name": asked.name}
        found = self.rows.find(key)
        synthetic = finished
        if finished is None and found is not None:
            root = variant.synthetic.root
            folder = Path(root) if root else default_folder(variant, conditions.id)
            forget_dead(folder)
            synthetic = SyntheticSet.open(folder).first(of_each) if is_finished(folder) else None
            if synthetic is None:  # what it showed was measured
                return [found, *self._of_as_many(key, asked, found, None)]
        if synthetic is None:
            drawn = draw_set(variant, self.dataset, replace(self.split, labeled=conditions))
            if drawn is None:
                raise ValueError(
                    "several processes draw this set: run ssl_aug.generate to its end, then evaluate it alone"
                )
            synthetic = drawn.first(of_each)
        if found is not None and found.set_id != synthetic.id:
            raise FileExistsError(of_other_images(self.folder, synthetic))
        if not len(synthetic):
            raise ValueError(f"{synthetic.folder}: {synthetic.left_out}, so that none is left to measure")
        if found is None:
            images = images_of(synthetic, self.dataset.class_names, asked.settings.num_images)
            size = side_of(images.paths[0])
            found = self._measure(key, asked.name, images, size, self._known_images(variant, size), synthetic.id)
        return [found, *self._of_as_many(key, asked, found, synthetic)]

    def floor(self, num_images: int, size_px: int) -> Measured | None:
        """Real test images, as many as a set has or as there are, measured as if they were drawn; None without any.

        Args:
            size_px: side of the drawn images.
        """
        test = self.dataset.test
        if not test.examples:
            return None
        everything = Images(test.paths, torch.tensor(test.labels))
        images = some_of(everything, min(num_images, len(test)))  # evenly over the classes
        key = {**self.ruled_by, "floor": len(images.paths), "size_px": size_px}
        found = self.rows.find(key)
        if found is None:
            known = self._known_images(self.settings, size_px)
            found = self._measure(key, "real test images", images, size_px, known, "real")
        return found

    def _of_as_many(
        self, key: dict[str, Any], asked: Asked, whole: Measured, synthetic: SyntheticSet | None
    ) -> list[Measured]:
        """The same set at the number of real test images: distances of fewer images are larger, so that the row of
        real images would else look worse than it is.
        """
        count = len(self.dataset.test)
        if not 0 < count < whole.row["num_images"] or why_unknown(self.settings) is not None:
            return []
        key = {**key, "as_many": count}
        found = self.rows.find(key)
        if found is None and synthetic is not None:
            images = some_of(images_of(synthetic, self.dataset.class_names, asked.settings.num_images), count)
            name = f"{asked.name}, {count} of them"
            found = self._measure(key, name, images, whole.row["size_px"], None, synthetic.id)
        return [] if found is None else [found]

    def _measure(
        self, key: dict[str, Any], name: str, images: Images, size_px: int, known: TuningImages | None, set_id: str
    ) -> Measured:
        ruler = self._ruler_at(size_px)
        row, pairs = ruler.measure(images, known)
        facts = {"set": name, "set_id": set_id, "size_px": size_px, **row}
        shown = tuple(str(path) for path in images.paths[:: max(1, len(images.paths) // NUM_SHOWN)][:NUM_SHOWN])
        measured = Measured(facts, tuple(pairs), ruler.title, tuple(ruler.notes), ruler.judge_accuracy, set_id, shown)
        self.rows.keep(key, measured)
        return measured

    def _ruler_at(self, size_px: int) -> Ruler:
        if self._ruler is None:
            self._ruler = Ruler(self.settings, self.features, self.dataset, size_px, self.judges, self.place)
        return self._ruler

    def _known_images(self, variant: EvaluateSettings, size_px: int) -> TuningImages | None:
        """What a variant is tuned on, in its CLIP's space; None where there is no CLIP, which is noted."""
        paths = tuning_images(variant, self.dataset, self.split)
        name = file_list_id(paths)
        if name not in self._known:
            try:
                clip = clip_of(self.settings.generator)
            except (FileNotFoundError, ValueError) as error:  # the set is there, its generator need not be
                pass_interrupt_on()
                self._ruler_at(size_px).note(
                    f"near-copies are not looked for, which takes the generator's CLIP: {error}"
                )
                return None
            self._known[name] = TuningImages(clip.to(self.place.device), paths, size_px)
        return self._known[name]

    def _identity(self, variant: EvaluateSettings, conditions: LabeledSet) -> dict[str, Any]:
        """All that decides a set's pictures, known before they are drawn."""
        if variant.generator.name not in TUNED:
            return {"labeled": conditions.id, **identity(variant, None)}
        model = checkpoint_path(variant.generator)
        names_class = variant.sampling().names_class
        return {
            **deciding_pictures(variant),
            "labeled": conditions.id,
            "seed": variant.seed,
            "batch_size": variant.batch_size,
            "model_id": weights_hash(model, variant.generator.clip_checkpoint, names_class, hash_memory()),
            "tuning_images_id": file_list_id(tuning_images(variant, self.dataset, self.split)),
        }


def notes_of(found: Sequence[Measured]) -> list[str]:
    """What was said of all of them, each thing once."""
    return list(dict.fromkeys(note for measured in found for note in measured.notes))
