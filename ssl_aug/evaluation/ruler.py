"""What synthetic images are measured with: the features of real ones, and a judge of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.checkpoints import open_checkpoint
from generators.settings import GeneratorSettings
from ssl_aug.data.base import Dataset
from ssl_aug.evaluation import measures
from ssl_aug.evaluation.judge import BATCH_SIZE, Judge, JudgeSettings, read_images, trained_judge
from ssl_aug.pretrain.backbone import load_backbone, normalized
from ssl_aug.runtime import Placement
from ssl_aug.settings import EMBEDDED
from ssl_aug.shipped import BACKBONE, refuse_altered_weights
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning.encodings import images_to_tensor
from ssl_aug.tuning.plan import checkpoint_path
from ssl_aug.world.paint import has_paint, paint_in

Row = dict[str, Any]


class Ruler:
    """Real images' features and the judge: what sets are measured against."""

    def __init__(
        self,
        dataset: Dataset,
        generator: GeneratorSettings,
        prompt: str | None,
        features: str,
        judge_steps: int,
        place: Placement,
    ):
        """
        Args:
            generator: whose CLIP features=clip means.
            prompt: the text that sets were drawn from, whose paint is looked for in toycars.
            features: one of FEATURES.
            judge_steps: how long the judge is trained on the labels of all real images.
        """
        self.place = place
        self.paint = paint_in(prompt) if dataset.name == "toycars" else None
        refuse_altered_weights(EMBEDDED, BACKBONE)
        self.judge: Judge = trained_judge(dataset, EMBEDDED, JudgeSettings(steps=judge_steps), place)
        self._embed = _extractor(generator, features, place)
        self.train = self._embed(read_images(dataset.train.paths))
        self.title = (
            f"{dataset.name}: {len(self.train)} training images; FD and KD in features of the embedded "
            f"{features}, against the training images; "
        )
        self.judge_accuracy: float | None = None
        if not dataset.test.examples:
            self.title += "no test images, so that nothing tells how often the judge is right"
            return
        test_images = read_images(dataset.test.paths)
        self.test = self._embed(test_images)
        self.test_logits = self.judge.logits(test_images, place)
        right = self.test_logits.argmax(1) == torch.tensor(dataset.test.labels)
        self.judge_accuracy = float(right.float().mean())
        self.test_painted = has_paint(test_images, self.paint) if self.paint else None
        self.title += f"judge right on {100 * self.judge_accuracy:.1f} % of {len(self.test)} test images"

    def floor(self, num_images: int) -> list[Row]:
        """A row of real test images, as many as a set has or as there are, measured as if they were synthetic.

        None where there are no test images.
        """
        if self.judge_accuracy is None:
            return []
        count = min(num_images, len(self.test))
        chosen = np.linspace(0, len(self.test) - 1, count).round().astype(int)  # evenly over the classes
        test, logits = self.test[chosen], self.test_logits[chosen]
        found = {"set": "real test images", "class_share": self.judge_accuracy, **self._distances(test, logits)}
        return [found | ({"paint_share": float(self.test_painted.mean())} if self.test_painted is not None else {})]

    def measure(self, synthetic: SyntheticSet) -> Row:
        """All measures of a synthetic set."""
        images = read_images(tuple(example.path for example in synthetic.examples))
        features, logits = self._embed(images), self.judge.logits(images, self.place)
        labels = torch.tensor([example.label for example in synthetic.examples])
        sources = [(row["label"], row["source"]) for row in synthetic.rows]
        numbers = {source: number for number, source in enumerate(sorted(set(sources)))}
        groups = torch.tensor([numbers[source] for source in sources])
        return {
            "class_share": float((logits.argmax(1) == labels).float().mean()),
            **self._distances(features, logits),
            "diversity": measures.mean_pairwise_distance(features, groups),
            **({"paint_share": float(has_paint(images, self.paint).mean())} if self.paint else {}),
        }

    def _distances(self, features: Tensor, logits: Tensor) -> Row:
        kernel, kernel_std = measures.kernel_distance(self.train, features)
        precision, recall = measures.precision_recall(self.train, features)
        return {
            "num_images": len(features),
            "frechet_distance": measures.frechet_distance(self.train, features),
            "kernel_distance": 1000 * kernel,
            "kernel_distance_std": 1000 * kernel_std,
            "inception_score": measures.inception_score(logits),
            "precision": precision,
            "recall": recall,
            "near_copy_rate": measures.near_copy_rate(self.train, features),
        }


def _extractor(generator: GeneratorSettings, features: str, place: Placement) -> Any:
    """(n, s, s, 3) uint8 -> (n, d) features on the CPU."""
    if features == "clip":
        clip = open_checkpoint(checkpoint_path(generator), generator.clip_checkpoint).clip.to(place.device)
    else:
        backbone = load_backbone(EMBEDDED).to(place.device).eval()

    @torch.no_grad()
    def embed(images: np.ndarray) -> Tensor:
        parts = []
        for start in range(0, len(images), BATCH_SIZE):
            batch = images[start : start + BATCH_SIZE]
            if features == "clip":
                parts.append(clip.embed_images(images_to_tensor(batch).to(place.device))[:, 0].cpu())
            else:
                parts.append(backbone(normalized(torch.from_numpy(batch).to(place.device))).float().cpu())
        return torch.cat(parts)

    return embed
