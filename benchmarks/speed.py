"""One training step of ours beside one in the published benchmark's style, for the table of speeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from timm.data.auto_augment import rand_augment_transform
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.interface import default_settings
from benchmarks.loaders import train_batches
from benchmarks.losses import LossCheck, scalars
from benchmarks.methods import facts_of
from benchmarks.methods.fixmatch import pseudo_label_loss
from benchmarks.model import build_classifier
from benchmarks.optim import learning_rate, set_learning_rate
from benchmarks.plan import plan_on
from benchmarks.run import settings_from
from benchmarks.settings import BenchmarkSettings, ModelSettings, ViewSettings
from benchmarks.single_run import build
from benchmarks.trainer import train_step
from ssl_aug.data.base import Split
from ssl_aug.data.build import load_split
from ssl_aug.data.reading import read_rgb
from ssl_aug.data.settings import DataSettings
from ssl_aug.runtime import Placement, name_of_precision, placement
from ssl_aug.speeds.machine import operations_of
from ssl_aug.speeds.paper import Stage
from ssl_aug.speeds.parts import Call, Part

Step = Callable[[], None]
METHODS_OF_THE_PAPER = ("erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch")  # table 2
ROWS_OF_THE_PAPER = 2  # without and with augmentation


def parts(split: Split, places: Mapping[str, Placement]) -> list[Part]:
    """A step of FixMatch with a ResNet-18 of random weights at 112 pixels, on a split's images.

    Args:
        places: where and how precisely our steps compute, by precision.

    Raises:
        ValueError: as `benchmarks.single_run.build`.
    """
    device = next(iter(places.values())).device.type
    settings = {precision: fixmatch(device, precision) for precision in places}
    plain = published_step(split, fixmatch(device, "fp32"))
    ours: dict[str, tuple[Call, str]] = {name: (our_step(split, each), name) for name, each in settings.items()}
    sizes = settings["fp32"].train
    what = f"{sizes.batch_size} + {sizes.unlabeled_batch_size} images"
    return [Part("training, FixMatch, ResNet-18 at 112", what, plain, ours, operations_of(plain), sizes.batch_size)]


def stages(place: Placement) -> Iterator[Stage]:
    """The six trainings of table 2, in both rows: a step of ERM, and FixMatch's for each of the others."""
    steps = {name: of_paper(name, place).train.steps for name in METHODS_OF_THE_PAPER}
    others = ROWS_OF_THE_PAPER * sum(count for name, count in steps.items() if name != "erm")
    for name, words, count in (
        ("erm", "training, ERM twice", ROWS_OF_THE_PAPER * steps["erm"]),
        ("fixmatch", "training, five others twice", others),
    ):
        yield Stage(words, "step", count, partial(_step_of_paper, name, place))


def of_paper(method: str, place: Placement) -> BenchmarkSettings:
    """experiment=paper with a ResNet-50 of random weights, on images that are at hand: rendered cars."""
    words = [f"method={method}", "experiment=paper", "data.root=unread", "generator.checkpoint=unread"]
    settings = settings_from(words)
    model = replace(settings.model, pretrained=False, checkpoint=None, image_size=224)
    train = replace(settings.train, num_workers=0)
    precision = name_of_precision(place.dtype)
    return replace(
        settings, data=DataSettings(), device=place.device.type, precision=precision, model=model, train=train
    )


def _step_of_paper(method: str, place: Placement) -> Step:
    settings = of_paper(method, place)
    return our_step(load_split(settings.data)[1], settings)


def fixmatch(device: str, precision: str) -> BenchmarkSettings:
    """FixMatch as the published benchmark sets it, on a small network."""
    return replace(
        default_settings("fixmatch"),
        device=device,
        precision=precision,
        model=ModelSettings(name="resnet18", image_size=112),
        view=ViewSettings(),
    )


def our_step(split: Split, settings: BenchmarkSettings) -> Step:
    """Each call is a step of what `python -m benchmarks.run` trains, views and log included.

    Raises:
        ValueError: as `benchmarks.single_run.build`.
    """
    training = build(plan_on(split, None, settings, facts_of(settings.method)))
    state, options, place = training.state, settings.train, training.layout.place
    state.model.train()
    state.method.train()
    is_gpu = place.device.type == "cuda"
    batches = training.batches
    upcoming = train_batches(batches, 0, options.steps, batches.num_workers, pin=is_gpu)
    check = LossCheck(is_late=is_gpu)

    def step() -> None:
        batch = next(upcoming)
        output, _ = train_step(state, options, settings.seed, batch, training.inputs, place, check)
        if state.step % options.log_every == 0:
            check.read_all()
            scalars(output)

    return step


class _Views(Dataset):
    """Item i: a weak and a strong view of image i as normalized tensors, and its class index (0 where unknown)."""

    def __init__(self, images: Sequence[tuple[Path, int]], size: int, mean: Sequence[float], std: Sequence[float]):
        fill = tuple(round(255 * channel) for channel in mean)
        crop = [v2.RandomResizedCrop(size, scale=(0.2, 1.0)), v2.RandomHorizontalFlip()]
        finish = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
        augment = rand_augment_transform("rand-m10-n2-mstd2", {"img_mean": fill})
        self.images = images
        self.weak = v2.Compose([*crop, *finish])
        self.strong = v2.Compose([*crop, v2.Lambda(augment), *finish])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, int]:
        path, label = self.images[i]
        image = read_rgb(path)
        return self.weak(image), self.strong(image), label


def published_step(split: Split, settings: BenchmarkSettings) -> Step:
    """Each call is a step of FixMatch in the published benchmark's style, in float32: files decoded and PIL views made
    in the loop's process, a pass per view, and every figure read in every step.
    """
    options, place = settings.train, placement(settings.device, "fp32")
    model, inputs = build_classifier(settings.model, len(split.labeled.class_names))
    model.to(place.device).train()
    groups = [
        {"params": [*model.backbone.parameters()], "factor": options.backbone_lr_factor},
        {"params": [*model.bottleneck.parameters(), *model.head.parameters()], "factor": 1.0},
    ]
    decay = options.weight_decay
    optimizer = torch.optim.SGD(groups, options.learning_rate, options.momentum, weight_decay=decay, nesterov=True)

    def forever(images: Sequence[tuple[Path, int]], batch_size: int) -> Iterator[list[Tensor]]:
        views = _Views(images, inputs.image_size, inputs.mean, inputs.std)
        size = min(batch_size, len(images))
        while True:
            for batch in DataLoader(views, size, shuffle=True, drop_last=True):
                yield [each.to(place.device) for each in batch]

    labeled = forever([(each.path, each.label) for each in split.labeled.examples], options.batch_size)
    unlabeled = forever([(path, 0) for path in split.unlabeled], options.unlabeled_batch_size)
    steps = iter(range(options.steps))
    read: list[float] = []

    def step() -> None:
        (weak, strong, target), (weak_u, strong_u, _) = next(labeled), next(unlabeled)
        lr = learning_rate(options.schedule, options.learning_rate, next(steps), options.steps, options.gamma)
        set_learning_rate(optimizer, lr)
        logits = model(weak)
        supervised = cross_entropy(logits, target) + 0.1 * cross_entropy(model(strong), target)
        with torch.no_grad():
            logits_weak = model(weak_u)
        loss_u = pseudo_label_loss(model(strong_u), logits_weak, settings.method.threshold, strict=True)
        loss = supervised + loss_u
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        read[:] = [supervised.item(), loss_u.item(), loss.item(), (logits.argmax(1) == target).float().mean().item()]

    return step
