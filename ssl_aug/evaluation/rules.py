"""What makes a figure say nothing: too few images for the features, or features that do not know the data."""

from __future__ import annotations

from ssl_aug.evaluation.settings import KNOWN_TO_EMBEDDED, EvaluateSettings
from ssl_aug.settings import EMBEDDED_DATA

NOT_HERE = "not measurable here"
OF_FEATURES = ("frechet_distance", "kernel_distance", "precision", "recall", "diversity")
KERNEL_BLOCKS = 10  # of images, left out in turn for the kernel distance's standard error
NUM_SPLITS = 10  # of the Inception Score, as published
LEAST_FOR_SCORE = 20 * NUM_SPLITS  # the score of a split cannot exceed its number of images
LEAST_FOR_KERNEL = 2 * KERNEL_BLOCKS


def least_images(width: int) -> int:
    """How many images of each set a Frechet distance, precision and recall take.

    The covariance of n images has rank n - 1 at most: with no more images than dimensions, whole directions of the
    space hold nothing of the set, and the distance is what was left out rather than what was drawn. In the same
    directions the balls of precision and recall reach wherever the few images happen to lie far apart.
    """
    return width + 1


def few(count: int, real: bool = False) -> str:
    """What a cell says."""
    return f"too few: {count}{' real' if real else ''}"


def why_few(width: int) -> str:
    """What stands below the table."""
    least = least_images(width)
    return (
        f"too few: in {width} dimensions a Frechet distance, precision and recall need {least} images or more of each "
        f"set (the covariance of n images has rank n - 1 at most); a kernel distance, which few images leave unbiased, "
        f"needs {LEAST_FOR_KERNEL}"
    )


def why_unknown(settings: EvaluateSettings) -> str | None:
    """Why features can say nothing of these data, whatever their figures; None where they may."""
    of_embedded_clip = settings.measured_in == "clip" and settings.generator.name != "ldm"
    is_embedded = settings.measured_in == "backbone" or of_embedded_clip
    if not is_embedded or settings.data.name == KNOWN_TO_EMBEDDED:
        return None
    return (
        f"{NOT_HERE}: features={settings.measured_in} come with the package and know rendered cars alone; in such "
        f"features blotches lie nearer to photos than other photos do. For data={settings.data.name} give "
        "features=inception, features=timm/NAME, or features=clip with generator=ldm"
    )


def why_copies_unknown(settings: EvaluateSettings) -> str | None:
    """Why CLIP cannot tell which drawings are near-copies; None where it may."""
    if settings.generator.name == "ldm" or settings.data.name == KNOWN_TO_EMBEDDED:
        return None
    return (
        f"near-copies: {NOT_HERE}, the CLIP that comes with the package knows rendered cars alone; near_copies.csv has "
        "the pairs that it finds closest, to look at"
    )


def why_unjudged(settings: EvaluateSettings, is_unknown: bool) -> str | None:
    """Why there is nothing to judge classes with; None where there is."""
    if settings.data.name in EMBEDDED_DATA or not is_unknown:
        return None
    return f"class %: {NOT_HERE}, and no judge is trained, for there are no features that know the classes"
