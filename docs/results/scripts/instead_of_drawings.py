"""Sets as large as a drawn one to set beside it: what a user could do instead, and what a gain is not owed to.

python -m ssl_aug.generate --per-sample 10 --out SET precision=bf16
python docs/results/scripts/instead_of_drawings.py SET OUT

writes class folders for ssl_aug.import_set: copies/ (each labeled image as often as it was drawn), wrong_classes/
(SET's drawings, each under another class than its own), noise_conditions/ (drawings of random conditions by SET's tuned
weights) and clip_labeled/ (of each class as many unlabeled real images as it has drawings, those nearest to its mean in
CLIP's space).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from generators.anl_ldm import ANLLatentDiffusion
from generators.borrowing import class_means
from generators.seeded_noise import seeded_noise
from ssl_aug.command_line import compose
from ssl_aug.data.base import Split
from ssl_aug.data.build import load_split
from ssl_aug.data.layout import class_folder
from ssl_aug.drawing.generator import draw, encode_png, make_generator
from ssl_aug.runtime import Placement, placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SyntheticSet, make_chunks, make_requests, with_words_of_set, word_of
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.plan import plan_tuning


class NoiseConditions(ANLLatentDiffusion):
    """The same network, told a random direction of the embeddings' usual length."""

    def _image_tokens(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor:
        width, norm = self.model.clip.width, self.model.facts.clip_image_norm
        noise = seeded_noise([seed + 1 for seed in seeds], (1, width)).to(reference)
        return norm * normalize(noise, dim=-1)


def write_copies(split: Split, per_sample: int, folder: Path) -> None:
    """Each labeled image `per_sample` times."""
    for example in split.labeled.examples:
        inner = folder / class_folder(example.label, split.labeled.class_names)
        for number in range(per_sample):
            put(example.path, inner / f"{example.path.stem}_{number}{example.path.suffix}")


def write_wrong_classes(drawn: SyntheticSet, split: Split, folder: Path) -> None:
    """The k-th drawing of an image goes to the class k + 1 further on."""
    names = split.labeled.class_names
    for row in drawn.rows:
        wrong = (int(row["label"]) + int(row["k"]) + 1) % len(names)
        put(drawn.folder / row["path"], folder / class_folder(wrong, names) / Path(row["path"]).name)


def write_noise_conditions(settings: Settings, split: Split, place: Placement, folder: Path) -> None:
    """As many drawings as SET has, of random conditions."""
    dataset, _ = load_split(settings.data)
    tuned = make_generator(settings, plan_tuning(settings, dataset, split), split.labeled, place)
    assert isinstance(tuned, ANLLatentDiffusion)
    generator = NoiseConditions(tuned.model, settings.sampling(), tuned.image_size)
    requests = make_requests(split.labeled, settings.per_sample, settings.seed)
    for chunk in make_chunks(requests, settings.batch_size):
        for request, image in zip(chunk, draw(generator, chunk, split.labeled, place), strict=True):
            file = folder / class_folder(request.source.label, split.labeled.class_names) / Path(request.path).name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_png(image))


@torch.no_grad()
def write_clip_labeled(settings: Settings, split: Split, place: Placement, folder: Path) -> None:
    """Real images without label under the class whose mean is nearest; says how many of them are right."""
    dataset, _ = load_split(settings.data)
    tuned = make_generator(settings, plan_tuning(settings, dataset, split), split.labeled, place)
    assert isinstance(tuned, ANLLatentDiffusion)
    clip, names = tuned.model.clip, split.labeled.class_names

    def tokens(paths: Sequence[Path]) -> Tensor:
        return torch.cat([clip.embed_images(part.to(place.device))[:, 0] for part in read_batch(paths, 64).split(200)])

    labels = torch.tensor(split.labeled.labels)
    unlabeled = list(split.unlabeled)
    others = tokens(unlabeled)
    means, _ = class_means(tokens(split.labeled.paths), labels, len(names), others)
    nearness, nearest = (normalize(others, dim=1) @ normalize(means, dim=1).T).max(dim=1)
    truth = {example.path: example.label for example in dataset.train.examples}
    of_class, right = settings.per_sample * len(labels) // len(names), 0
    for label in range(len(names)):
        rows = (nearest == label).nonzero().flatten()
        for row in rows[nearness[rows].argsort(descending=True)[:of_class]].tolist():
            put(unlabeled[row], folder / class_folder(label, names) / unlabeled[row].name)
            right += truth[unlabeled[row]] == label
    print(f"clip_labeled: {right} of {sum(1 for _ in folder.glob('*/*'))} have their true label")


def put(source: Path, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, file)


def main() -> None:
    """Writes all four folders."""
    drawn, out = SyntheticSet.open(Path(sys.argv[1])), Path(sys.argv[2])
    settings = compose("generate", with_words_of_set([word_of("synthetic.root", str(drawn.folder))]), Settings)
    place, split = placement(settings.device, settings.precision), load_split(settings.data)[1]
    write_copies(split, settings.per_sample, out / "copies")
    write_wrong_classes(drawn, split, out / "wrong_classes")
    write_clip_labeled(settings, split, place, out / "clip_labeled")
    write_noise_conditions(settings, split, place, out / "noise_conditions")


if __name__ == "__main__":
    main()
