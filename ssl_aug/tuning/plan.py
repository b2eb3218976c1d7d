"""What is tuned on what, and where the result lies: known before any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from generators.checkpoints import describe, weights_hash
from generators.sampling import check_steps
from generators.settings import TUNING, GeneratorSettings, deciding
from ssl_aug.data.base import Dataset, Split, file_list_id
from ssl_aug.data.split import draw_subset
from ssl_aug.settings import EMBEDDED, Settings, short_hash


@dataclass(frozen=True)
class TuningPlan:
    """What is tuned on what, and where the result lies."""

    checkpoint: Path  # the pretrained model's folder, or the published file
    model_id: str  # hash of its weights
    images: tuple[Path, ...]
    images_id: str
    folder: Path  # of this tuning, whatever its number of steps
    steps: int

    @property
    def adapter(self) -> Path:
        """The tuned weights; their facts lie beside them, as .json."""
        return self.folder / f"adapter_{self.steps:06d}.safetensors"


def plan_tuning(settings: Settings, dataset: Dataset, split: Split) -> TuningPlan:
    """Names images, weights and the adapter's folder, which stands for all that decides the tuned weights.

    Raises:
        FileNotFoundError: the generator's weights are not there.
        ValueError: steps that the sampler cannot take with this model, or a prompt that it cannot embed.
    """
    checkpoint = checkpoint_path(settings.generator)
    described = describe(checkpoint)
    check_steps(settings.sampler, settings.steps, described.schedule)
    if settings.prompt is not None and "text_cfg" not in described.clip:
        raise ValueError(f"prompt={settings.prompt!r}: {checkpoint} embeds images alone; leave the prompt out")
    images = split.labeled.paths if settings.tune.images == "labeled" else dataset.training_images
    if settings.data.subset is not None:
        images = draw_subset(images, settings.data.subset, settings.data.split_seed)
    tune = deciding(settings.tune, TUNING, unless_said=[TUNING])
    model_id, images_id = weights_hash(checkpoint, settings.generator.clip_checkpoint), file_list_id(images)
    key = short_hash([model_id, images_id, tune, settings.generator.image_size, settings.generator.tokens])
    folder = Path(settings.tune.root) / f"{dataset.name}-{settings.tune.approach}-{key}"
    return TuningPlan(checkpoint, model_id, images, images_id, folder, settings.tune.steps)


def checkpoint_path(generator: GeneratorSettings) -> Path:
    """The folder of the pretrained weights, or the published checkpoint's file.

    Raises:
        ValueError: no checkpoint is named, or one that has no effect.
        FileNotFoundError: the embedded weights are not there; what else is missing `describe` says.
    """
    if generator.name == "embedded":
        if generator.checkpoint is not None:
            raise ValueError("generator.checkpoint has no effect on generator=embedded: use generator=ldm with it")
        if generator.clip_checkpoint is not None:
            raise ValueError("generator.clip_checkpoint has no effect on generator=embedded: it has its own CLIP")
        if not (EMBEDDED / "unet.safetensors").is_file():
            raise FileNotFoundError(
                f"{EMBEDDED} holds no weights: make them with python -m ssl_aug.pretrain out={EMBEDDED}"
            )
        return EMBEDDED
    if generator.checkpoint is None:
        raise ValueError(
            f"generator={generator.name} needs generator.checkpoint=PATH: the published model.ckpt (cin256-v2), a "
            "folder that python -m ssl_aug.convert made of it, or a diffusers pipeline's folder (Stable Diffusion 1.x "
            "or 2.x, or without a condition)"
        )
    return Path(generator.checkpoint)
