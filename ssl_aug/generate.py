"""python -m ssl_aug.generate [flags] [name=value ...]

Draws synthetic images from each labeled image: few-label split, tuning (once), masked sampling. A stopped run goes
on where it stopped when the same command is given again.

  --per-sample N   images per labeled image (per_sample)
  --out DIR        folder of the set (synthetic.root)
  --dry-run        print the number of images, disk and time, write nothing (dry_run=true)
  --device D       auto, cpu or cuda (device)
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generators.config import ENTRY_POINTS, TUNED
from ssl_aug.command_line import compose, overrides_of
from ssl_aug.data.base import LabeledSet
from ssl_aug.data.build import load_split
from ssl_aug.help import generation_help
from ssl_aug.lenders import lenders_of, remember
from ssl_aug.runtime import Placement, command, file_hash, placement, progress_bar, shard, versions
from ssl_aug.settings import SamplingSettings, Settings, deciding
from ssl_aug.synthetic import Request, SetWriter, SyntheticSet, default_folder, make_chunks, make_requests
from ssl_aug.tune import TuningPlan, plan_tuning, read_adapter, tune

if TYPE_CHECKING:
    from torch import Tensor

    from generators.base import Generator
    from ssl_aug.selection import Scorer

FLAGS = {"--per-sample": "per_sample", "--out": "synthetic.root", "--device": "device"}
SWITCHES = {"--dry-run": "dry_run"}


def generate(settings: Settings) -> SyntheticSet | None:
    """Draws the set that the settings name, or what is missing of it; None while other shards still draw.

    Raises:
        ValueError, OSError: bad settings or data, or a folder that holds something else; nothing is overwritten.
    """
    dataset, split = load_split(settings.data)
    place = placement(settings.device, settings.precision)
    plan = plan_tuning(settings, dataset, split) if settings.generator.name in TUNED else None
    folder = Path(settings.synthetic.root) if settings.synthetic.root else default_folder(settings)
    requests = make_requests(split.labeled, settings.per_sample, settings.seed)
    chunks = make_chunks(requests, settings.batch_size)
    if settings.dry_run:
        print(estimate(settings, plan, folder, split.labeled, chunks, place))
        return None
    writer = SetWriter(folder, identity(settings, plan), split.labeled)
    done = writer.done()
    rank, world_size = shard()
    mine = [chunk for chunk in chunks[rank::world_size] if any(request.path not in done for request in chunk)]
    if mine:
        generator = make_generator(settings, plan, split.labeled, place)
        scorer = make_scorer(generator, split.labeled, place)
        with progress_bar(len(requests) // world_size, "drawing", initial=len(done) // world_size) as bar:
            for chunk in mine:
                images = draw(generator, chunk, split.labeled, place)
                facts = facts_of(chunk, settings, split.labeled, generator)
                if scorer is not None:
                    scores = scorer.scores(images, chunk)
                    facts = [{**fact, **score} for fact, score in zip(facts, scores, strict=True)]
                writer.write(chunk, [encode_png(image) for image in images], facts)
                bar.update(len(chunk))
    synthetic = writer.finish(requests, card(settings, dataset.name, split.labeled), {"versions": versions()})
    print(f"{len(synthetic)} images in {folder}" if synthetic else f"{folder}: this shard is done, others are not")
    return synthetic


def identity(settings: Settings, plan: TuningPlan | None) -> dict[str, Any]:
    """Everything that decides the pictures, for generator.json."""
    kept = {**deciding(settings), "batch_size": settings.batch_size, "seed": settings.seed}
    if plan is None:
        del kept["tune"]
        registered = entry_points(group=ENTRY_POINTS)
        if settings.generator.name in registered.names:
            package = registered[settings.generator.name].dist
            kept["model_id"] = f"{package.name} {package.version}" if package else None
            if settings.generator.checkpoint is not None:  # a file, or whatever name the package knows
                path = Path(settings.generator.checkpoint)
                kept["checkpoint_id"] = file_hash(path)[:12] if path.is_file() else str(path)
        return kept
    return {**kept, "model_id": plan.model_id, "tuning_images_id": plan.images_id}


def make_generator(settings: Settings, plan: TuningPlan | None, labeled: LabeledSet, place: Placement) -> Generator:
    """The generator, tuned first where it has not been."""
    import torch

    from generators.anl_ldm import ANLLatentDiffusion
    from generators.build import build_generator

    adapter = None
    if plan is not None:
        if shard()[1] > 1 and not plan.adapter.is_file():
            raise ValueError(
                "there are no tuned weights yet, and several processes would each make their own: "
                "run python -m ssl_aug.tune with the same settings first (torchrun shares it among GPUs)"
            )
        adapter = read_adapter(tune(settings, plan, place))
        settings.generator.checkpoint = str(plan.checkpoint)
    generator = build_generator(
        settings.generator,
        settings,
        adapter,
        lambda module: module.to(place.device, memory_format=torch.channels_last),
    )
    if settings.condition == "borrowed":
        assert isinstance(generator, ANLLatentDiffusion) and plan is not None  # the settings refuse others
        remember(generator, settings, plan, labeled, place)
    return generator


def make_scorer(generator: Generator, labeled: LabeledSet, place: Placement) -> Scorer | None:
    """What scores this generator's drawings; None for a generator without CLIP."""
    from generators.anl_ldm import ANLLatentDiffusion
    from ssl_aug.selection import Scorer

    if not isinstance(generator, ANLLatentDiffusion):
        return None
    return Scorer(generator.model.clip, labeled, generator.image_size, place)


def draw(generator: Generator, chunk: Sequence[Request], labeled: LabeledSet, place: Placement) -> Tensor:
    """(b, 3, s, s) images in [-1, 1] on the CPU, one per request."""
    import torch

    from ssl_aug.encodings import read_batch

    reference = read_batch([request.source.path for request in chunk], generator.image_size).to(place.device)
    names = [labeled.class_names[request.source.label] for request in chunk]
    with torch.no_grad(), place.autocast():
        images: Tensor = generator(reference, names, [request.seed for request in chunk])
    return images.float().cpu()


def encode_png(image: Tensor) -> bytes:
    """A (3, s, s) image in [-1, 1] as a PNG file's bytes."""
    from PIL import Image

    pixels = ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def facts_of(
    chunk: Sequence[Request], settings: Settings, labeled: LabeledSet, generator: Generator
) -> list[dict[str, str]]:
    """The manifest's columns on how each image was drawn."""
    from generators.borrowing import lender
    from generators.masks import mask_box

    is_conditional = settings.condition != "none" and settings.tune.approach != "anl_unconditional"
    assert settings.mask_rate is not None  # chosen when the settings were made
    masked = settings.generator.name in TUNED and settings.prompt is None and is_conditional
    size = generator.image_size
    boxes = [mask_box(request.seed, settings.mask_rate, size) if masked else () for request in chunk]
    same = {
        "mask_rate": str(settings.mask_rate if masked else 0.0),
        "sampler": settings.sampler,
        "steps": str(settings.steps),
        "guidance": str(settings.guidance),
    }
    lenders = lenders_of(labeled) if settings.condition == "borrowed" else []
    lent = [lenders[lender(request.seed, len(lenders))].key if lenders else "" for request in chunk]
    own = zip(boxes, lent, strict=True)
    return [{**same, "mask_box": " ".join(map(str, box)), "lender": key} for box, key in own]


def estimate(
    settings: Settings,
    plan: TuningPlan | None,
    folder: Path,
    labeled: LabeledSet,
    chunks: Sequence[Sequence[Request]],
    place: Placement,
) -> str:
    """What a run would draw, in images, bytes and seconds, measured on a few references with the untuned weights."""
    import torch

    from generators.build import build_generator

    total = sum(len(chunk) for chunk in chunks)
    probe = chunks[0][:8]
    assert settings.mask_rate is not None  # chosen when the settings were made
    quick = SamplingSettings(mask_rate=settings.mask_rate, sampler=settings.sampler, steps=2)
    if plan is not None:
        settings.generator.checkpoint = str(plan.checkpoint)
    generator = build_generator(
        settings.generator,
        quick,
        None,
        lambda module: module.to(place.device, memory_format=torch.channels_last),
    )
    draw(generator, probe, labeled, place)  # the first call also sets up kernels
    start = time.perf_counter()
    images = draw(generator, probe, labeled, place)
    evaluation = (time.perf_counter() - start) / 2 / len(probe)  # of the network, per image
    seconds = evaluation * settings.steps * total * (1 if settings.guidance == 1 else 2)
    # PNG sizes: smooth untuned drawings would be too small a guess, so the references' own pixels count
    size = max(len(encode_png(image)) for image in (*images, *references(probe, generator.image_size)))
    lines = [
        f"would draw {total} images ({settings.per_sample} for each of {len(labeled)} labeled ones) into {folder}",
        f"disk: about {size * total / 1e6:.1f} MB",
        f"time to draw on {place.device}: about {_duration(seconds)}",
    ]
    if plan is not None and not plan.adapter.is_file():
        # forward and backward cost about three evaluations
        tuning = 3 * evaluation * settings.tune.steps * settings.tune.batch_size
        lines.append(f"before that, tuning on {len(plan.images)} images: about {_duration(tuning)}")
    elif plan is not None:
        lines.append(f"tuned weights are there: {plan.adapter}")
    return "\n".join(lines)


def references(chunk: Sequence[Request], image_size: int) -> Tensor:
    """The labeled images of some requests, as the generator sees them."""
    from ssl_aug.encodings import read_batch

    return read_batch([request.source.path for request in chunk], image_size)


def card(settings: Settings, dataset: str, labeled: LabeledSet) -> str:
    """The set's README.md."""
    means = f" (class means of {settings.class_means} images)" if settings.class_means else ""
    condition = f"condition {settings.condition}{means}, mask rate {settings.mask_rate}"
    drawn = f"{condition}, {settings.sampler} {settings.steps} steps, guidance {settings.guidance}"
    tuned = f"{settings.tune.approach}, {settings.tune.steps} steps" if settings.generator.name in TUNED else "not"
    return (
        "---\ntags: [synthetic, image-classification]\n---\n"
        f"# Synthetic images for {dataset}, {settings.data.labels_per_class} labels per class\n\n"
        f"Drawn by ssl_aug from the {len(labeled)} labeled images of split {settings.data.split_seed} "
        f"(labeled set {labeled.id}): generator {settings.generator.name}, tuned: {tuned}; {drawn}.\n\n"
        "`images/` is an ImageFolder; `manifest.csv` names each image's class, source, seed and erased rectangle, and "
        "with condition borrowed the lender: the labeled image that paint, place and all else but the class are of; "
        "`generator.json` holds all settings.\n\n"
        "The images are synthetic: they may be wrong about what they are labeled as, and belong in training sets, "
        "never in test sets. The rights in the source images apply to them.\n"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print(generation_help(__doc__ or ""))
        return
    generate(compose("generate", overrides_of(arguments, FLAGS, SWITCHES), Settings))


if __name__ == "__main__":
    command(main)
