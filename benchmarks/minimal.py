"""FixMatch on an augmented labeled set in one file, to read and to carry away: torch, torchvision and Pillow alone.

Reads folders of class folders: LABELED/<class>/*.png (real and synthetic images alike), TEST/<class>/*.png, and any
images beneath UNLABELED. Sohn et al., "FixMatch", arXiv:2001.07685, as the published benchmark sets it. Strong views
are torchvision's RandAugment, and nothing is saved: for those, and for other methods, python -m benchmarks.run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18, resnet50
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
BACKBONES = {"resnet18": resnet18, "resnet50": resnet50}


class Images(Dataset):
    """Views of images, with a class index each (0 where there is none)."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], views: Sequence[v2.Transform]):
        self.paths, self.labels, self.views = paths, labels, views

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[list[Tensor], int]:
        image = Image.open(self.paths[i]).convert("RGB")
        return [view(image) for view in self.views], self.labels[i]


def find_images(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("**/*") if path.suffix.lower() in SUFFIXES)
    if not found:
        sys.exit(f"error: {folder} holds no images; --help shows the layout")
    return found


def views(size: int) -> tuple[v2.Transform, v2.Transform, v2.Transform]:
    """Weak, strong and test view: a crop and a flip; the same and RandAugment; the center of the squashed image."""
    fill = [round(255 * channel) for channel in MEAN]
    crop = [v2.RandomResizedCrop(size, scale=(0.2, 1.0)), v2.RandomHorizontalFlip()]
    finish = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    return (
        v2.Compose([*crop, *finish]),
        v2.Compose([*crop, v2.RandAugment(2, 10, interpolation=v2.InterpolationMode.BILINEAR, fill=fill), *finish]),
        v2.Compose([v2.Resize((size * 256 // 224,) * 2, v2.InterpolationMode.BICUBIC), v2.CenterCrop(size), *finish]),
    )


def forever(images: Images, batch_size: int, workers: int) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Batches without end; without replacement within a pass, and smaller ones where there are few images."""
    size = min(batch_size, len(images))
    loader = DataLoader(images, size, shuffle=True, drop_last=True, num_workers=workers)
    while True:
        yield from loader


def build_model(backbone: str, weights: Path | None, num_classes: int) -> nn.Sequential:
    """Backbone, the benchmark's bottleneck, head."""
    body = BACKBONES[backbone]()
    if weights is not None:
        body.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    linear = nn.Linear(body.fc.in_features, 1024)
    body.fc = nn.Identity()
    nn.init.normal_(linear.weight, std=0.005)
    nn.init.constant_(linear.bias, 0.1)
    head = nn.Sequential(linear, nn.BatchNorm1d(1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, num_classes))
    return nn.Sequential(body, head)


def pseudo_label_loss(logits_strong: Tensor, logits_weak: Tensor, threshold: float) -> Tensor:
    """Eq. 4: confident predictions on weak views are the targets of strong views; the mean is over all images."""
    confidence, pseudo_label = logits_weak.softmax(1).max(1)
    return ((confidence > threshold) * cross_entropy(logits_strong, pseudo_label, reduction="none")).mean()


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader, device: str) -> float:
    """Share of correct answers, in percent."""
    model.eval()
    hits = [model(view.to(device)).argmax(1).cpu() == target for (view,), target in loader]
    model.train()
    return 100 * torch.cat(hits).float().mean().item()


def train(options: argparse.Namespace) -> float:
    """Trains, prints, returns the test accuracy in percent after the last step."""
    torch.manual_seed(options.seed)
    weak, strong, still = views(options.size)
    labeled, unlabeled, test = (find_images(f) for f in (options.labeled, options.unlabeled, options.test))
    names = sorted({path.parent.name for path in labeled})
    unknown = sorted({path.parent.name for path in test} - set(names))
    if unknown:
        sys.exit(f"error: class {unknown[0]!r} of {options.test} has no images in {options.labeled}: add some")
    labels, test_labels = ([names.index(path.parent.name) for path in paths] for paths in (labeled, test))
    labeled_batches = forever(Images(labeled, labels, [weak, strong]), options.batch, options.workers)
    none = [0] * len(unlabeled)
    unlabeled_batches = forever(Images(unlabeled, none, [weak, strong]), options.batch, options.workers)
    test_loader = DataLoader(Images(test, test_labels, [still]), 128, num_workers=options.workers)

    model = build_model(options.backbone, options.weights, len(names)).to(options.device)
    groups = [{"params": model[0].parameters(), "factor": 0.1}, {"params": model[1].parameters(), "factor": 1.0}]
    optimizer = torch.optim.SGD(groups, options.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.lr * group["factor"] * (1 + 4e-4 * step) ** -0.75
        (l_w, l_s), target = next(labeled_batches)
        (u_w, u_s), _ = next(unlabeled_batches)
        target = target.to(options.device)
        supervised = cross_entropy(model(l_w.to(options.device)), target)
        supervised = supervised + 0.1 * cross_entropy(model(l_s.to(options.device)), target)
        with torch.no_grad():  # in train mode, as in the benchmark: BatchNorm statistics move here
            logits_weak = model(u_w.to(options.device))
        unlabeled_loss = pseudo_label_loss(model(u_s.to(options.device)), logits_weak, options.threshold)
        optimizer.zero_grad()
        (supervised + unlabeled_loss).backward()
        optimizer.step()
        if (step + 1) % options.every == 0:
            print(f"step {step + 1}: test accuracy {accuracy(model, test_loader, options.device):.1f} %", flush=True)
    return accuracy(model, test_loader, options.device)


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    name, form = "python -m benchmarks.minimal", argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=form, allow_abbrev=False)
    for name in ("labeled", "unlabeled", "test"):
        parser.add_argument(name, type=Path, help=f"folder of {name} images")
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="resnet50", help="torchvision model")
    parser.add_argument("--weights", type=Path, help="its state dict, such as resnet50-0676ba61.pth")
    defaults = {"steps": 30000, "batch": 32, "size": 224, "lr": 0.01, "threshold": 0.7, "every": 500, "workers": 4}
    for name, default in (defaults | {"seed": 0}).items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help="benchmark's on StanfordCars")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    print(f"test accuracy after the last step: {train(parser.parse_args(words)):.1f} %")


if __name__ == "__main__":
    main()
