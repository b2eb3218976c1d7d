"""What drawing a set would do, and what it is refused for. Torch is loaded only where drawing has to be tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from generators.settings import TUNED, SamplingSettings
from ssl_aug.data.base import Dataset, LabeledSet, Split
from ssl_aug.drawing.record import identity
from ssl_aug.runtime import refuse_place
from ssl_aug.settings import Settings
from ssl_aug.synthetic import (
    Request,
    SyntheticSet,
    default_folder,
    images_done,
    is_finished,
    make_chunks,
    make_requests,
    refuse_folder,
)
from ssl_aug.tuning.plan import TuningPlan, plan_tuning, would_fetch


def foretold(settings: Settings, dataset: Dataset, split: Split) -> str:
    """What a run would do; where something is left to draw, how much in images, bytes and time.

    Args:
        dataset, split: those that `settings.data` describes.

    Raises:
        FileExistsError, ValueError, OSError: what the run itself would be refused with.
    """
    labeled = split.labeled
    refuse_nothing_to_borrow(settings.sampling(), labeled)
    refuse_place(settings.device, settings.precision)
    is_tuned = settings.generator.name in TUNED
    fetched_first = would_fetch(settings.generator) if is_tuned else None
    if fetched_first is not None:
        return f"{fetched_first}\nhow long drawing takes is told when they are there"
    plan = plan_tuning(settings, dataset, split) if is_tuned else None
    folder = folder_of(settings, labeled)
    refuse_folder(folder, {"labeled_set_id": labeled.id, **identity(settings, plan)})
    chunks = make_chunks(make_requests(labeled, settings.per_sample, settings.seed), settings.batch_size)
    done, asked = images_done(folder, settings.synthetic.refill), [request for chunk in chunks for request in chunk]
    left = [request for request in asked if request.path not in done]
    if is_finished(folder) and not settings.synthetic.refill:
        synthetic = SyntheticSet.open(folder)
        more = f"; {synthetic.left_out}" if synthetic.left_out else ""
        if not left:
            return f"{folder} is finished already: {len(synthetic)} images are there, nothing would be drawn{more}"
    if not left:
        return f"{folder}: every image is there, nothing would be drawn but the list written"
    of_each = f"{settings.per_sample} for each of {len(labeled)} labeled ones"
    if len(left) == len(asked):
        first = f"would draw {len(asked)} images ({of_each}) into {folder}"
    else:
        first = f"would go on: {len(left)} of {len(asked)} images ({of_each}) are left to draw in {folder}"
    unfinished = [chunk for chunk in chunks if any(request.path not in done for request in chunk)]  # drawn whole
    return "\n".join([first, *_tried(settings, plan, folder, labeled, chunks, unfinished)])


def _tried(
    settings: Settings,
    plan: TuningPlan | None,
    folder: Path,
    labeled: LabeledSet,
    chunks: Sequence[Sequence[Request]],
    unfinished: Sequence[Sequence[Request]],
) -> list[str]:
    from ssl_aug.drawing.estimate import estimate

    return estimate(settings, plan, folder, labeled, chunks, unfinished)


def folder_of(settings: Settings, labeled: LabeledSet) -> Path:
    """Where the set lies that these settings name."""
    return Path(settings.synthetic.root) if settings.synthetic.root else default_folder(settings, labeled.id)


def refuse_nothing_to_borrow(sampling: SamplingSettings, labeled: LabeledSet) -> None:
    """An image that is the only one of its class lends nothing, though it may borrow: some class needs two.

    Raises:
        ValueError: condition=borrowed, and no class has two labeled images.
    """
    if sampling.condition == "borrowed" and max(Counter(labeled.labels).values()) < 2:
        raise ValueError(
            "condition=borrowed compares labeled images of one class, and no class has more than one: give "
            "condition=image, or label more images"
        )
