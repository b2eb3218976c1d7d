"""Class means against those of all labels, with images of unlabeled classes among the images without label.

python docs/results/scripts/class_means_of_few_labels.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from generators import model_folder
from generators.borrowing import class_means
from generators.conditioning import ClipEncoder
from ssl_aug.data.build import load_dataset, load_split
from ssl_aug.settings import EMBEDDED, DataSettings
from ssl_aug.tuning.encodings import read_batch

COUNT = 24  # classes


def tokens(clip: ClipEncoder, paths: Sequence[Path]) -> Tensor:
    """(n, d) CLIP embeddings."""
    return torch.cat([clip.embed_images(part)[:, 0] for part in read_batch(paths, 64).split(200)])


@torch.no_grad()
def main() -> None:
    """Prints two lines for each number of labeled classes: means of labeled images, and of unlabeled ones as well."""
    clip, dataset = model_folder.load(EMBEDDED).clip, load_dataset(DataSettings())
    train, test = tokens(clip, dataset.train.paths), tokens(clip, dataset.test.paths)
    labels, test_labels = torch.tensor(dataset.train.labels), torch.tensor(dataset.test.labels)
    of_all, _ = class_means(train, labels, COUNT, train[:0])
    spread = ((of_all - of_all.mean(dim=0)) ** 2).sum(dim=1).mean()
    for known in (24, 18, 12, 6):
        found: dict[str, list[Tensor]] = {"labeled": [], "train": []}
        for seed in range(4):
            labeled = load_split(DataSettings(split_seed=seed))[1].labeled
            chosen = torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed))[:known]
            rows = [dataset.train.paths.index(one.path) for one in labeled.examples if one.label in chosen]
            rest = [row for row in range(len(train)) if row not in set(rows)]
            own = (labels[rows][:, None] == chosen).int().argmax(dim=1)
            tested = torch.isin(test_labels, chosen)
            for name, unlabeled in (("labeled", train[:0]), ("train", train[rest])):
                means, _ = class_means(train[rows], own, known, unlabeled)
                error = ((means - of_all[chosen]) ** 2).sum(dim=1).mean() / spread
                nearest = (normalize(means, dim=1) @ normalize(of_all, dim=1).T).argmax(dim=1)
                right = chosen[(normalize(test[tested], dim=1) @ normalize(means, dim=1).T).argmax(dim=1)]
                shares = ((nearest == chosen).float().mean(), (right == test_labels[tested]).float().mean())
                found[name].append(torch.stack([error, *shares]))
        for name, values in found.items():
            error, nearest, right = (100 * torch.stack(values).mean(dim=0)).tolist()
            print(
                f"{known} classes labeled, class_means={name}: error {error:.1f} %, own class's {nearest:.0f} %, "
                f"names {right:.1f} % of their test images"
            )


if __name__ == "__main__":
    main()
