"""What a synthetic set says of itself: generator.json's identity, and the dataset card in README.md."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from generators.settings import ENTRY_POINTS, TUNED
from ssl_aug.data.base import LabeledSet
from ssl_aug.data.contents import content_hash
from ssl_aug.settings import Settings, deciding_pictures
from ssl_aug.tuning.plan import TuningPlan


def identity(settings: Settings, plan: TuningPlan | None) -> dict[str, Any]:
    """Everything that decides the pictures, for generator.json."""
    kept = {**deciding_pictures(settings), "batch_size": settings.batch_size, "seed": settings.seed}
    if plan is None:
        del kept["tune"]
        registered = entry_points(group=ENTRY_POINTS)
        if settings.generator.name in registered.names:
            package = registered[settings.generator.name].dist
            kept["model_id"] = f"{package.name} {package.version}" if package else None
            if settings.generator.checkpoint is not None:  # a file, or whatever name the package knows
                path = Path(settings.generator.checkpoint)
                kept["checkpoint_id"] = content_hash(path)[:12] if path.is_file() else str(path)
        return kept
    # before the hash of its weights: where a repository has moved on, the first difference says which commit to give
    pinned = {} if plan.hub_id is None else {"generator.checkpoint": plan.hub_id}
    return {**kept, **pinned, "model_id": plan.model_id, "tuning_images_id": plan.images_id}


def dataset_card(settings: Settings, plan: TuningPlan | None, dataset: str, labeled: LabeledSet) -> str:
    """The set's README.md."""
    sampling = settings.sampling()
    means = f" (class means of {sampling.class_means} images)" if sampling.class_means else ""
    prompt = f" (prompt {sampling.class_prompt!r})" if sampling.class_prompt else ""
    condition = f"condition {sampling.condition}{means}{prompt}, mask rate {sampling.mask_rate}"
    drawn = f"{condition}, {sampling.sampler} {sampling.steps} steps, guidance {sampling.guidance}"
    is_tuned = settings.generator.name in TUNED and settings.tune.steps > 0
    tuned = f"{settings.tune.approach}, {settings.tune.steps} steps" if is_tuned else "not"
    weights = f" of {plan.hub_id}" if plan is not None and plan.hub_id is not None else ""
    return (
        "---\ntags: [synthetic, image-classification]\n---\n"
        f"# Synthetic images for {dataset}, {settings.data.labels_told}\n\n"
        f"Drawn by ssl_aug from the {len(labeled)} labeled images of split {settings.data.split_seed} "
        f"(labeled set {labeled.id}): generator {settings.generator.name}{weights}, tuned: {tuned}; {drawn}.\n\n"
        "`images/` is an ImageFolder; `manifest.csv` names each image's class, source, seed and erased rectangle, and "
        "with condition borrowed the lender: the labeled image that paint, place and all else but the class are of; "
        "`generator.json` holds all settings.\n\n"
        "The images are synthetic: they may be wrong about what they are labeled as, and belong in training sets, "
        "never in test sets. The rights in the source images apply to them.\n"
    )
