"""What is tuned on what, and where the result lies: known before any work."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from generators import hub
from generators.checkpoints import Checkpoint, describe, locate, weights_hash
from generators.first_look import require_named
from generators.network import may_fetch
from generators.sampling_steps import check_steps
from generators.settings import GeneratorSettings
from ssl_aug.data.base import Dataset, LabeledSet, Split, file_list_id
from ssl_aug.data.contents import hash_memory
from ssl_aug.data.split import draw_subset
from ssl_aug.settings import EMBEDDED, Settings
from ssl_aug.shipped import GENERATOR, refuse_altered_weights
from ssl_aug.tuning.place import tuning_folder


@dataclass(frozen=True)
class TuningPlan:
    """What is tuned on what, and where the result lies."""

    checkpoint: Path  # the pretrained model's folder, or the published file
    model_id: str  # hash of its weights
    labeled: LabeledSet
    images: tuple[Path, ...]
    images_id: str
    classes: tuple[str, ...] | None  # the class's name of each image, where the condition has it
    folder: Path  # of this tuning, whatever its number of steps
    steps: int
    hub_id: str | None = None  # owner/name@commit, where the weights are of the hub

    @property
    def adapter(self) -> Path:
        """The tuned weights; their facts lie beside them, as .json."""
        return self.folder / f"adapter_{self.steps:06d}.safetensors"


def plan_tuning(settings: Settings, dataset: Dataset, split: Split) -> TuningPlan:
    """Names images, weights and the adapter's folder, which stands for all that decides the tuned weights.

    Raises:
        FileNotFoundError: the generator's weights are not there, nor can they be fetched.
        ValueError: steps that the sampler cannot take with this model, or a prompt that it cannot embed.
    """
    checkpoint, hub_id = checkpoint_and_hub_id(settings.generator)
    sampling = settings.sampling()
    described = describe(checkpoint, sampling.names_class)
    check_steps(settings.sampler, settings.steps, described.schedule)
    _check_prompt(settings, described)
    if not described.takes_images and sampling.condition != "class":
        raise ValueError(
            f"condition={sampling.condition}: {checkpoint} takes the tokens of texts alone, use condition=class with "
            "tune.images=labeled"
        )
    if settings.tune.steps == 0 and sampling.sees_image and not described.follows_images:
        print(
            f"warning: {checkpoint} was not trained with images as its condition: untuned (tune.steps=0), its drawings "
            "do not follow them",
            file=sys.stderr,
        )
    images = split.labeled.paths if settings.tune.images == "labeled" else dataset.training_images
    if settings.data.subset is not None:
        images = draw_subset(images, settings.data.subset, settings.data.split_seed)
    model_id = weights_hash(checkpoint, settings.generator.clip_checkpoint, sampling.names_class, hash_memory())
    images_id = file_list_id(images)
    classes = None
    if sampling.names_class and settings.tune.steps > 0:  # on labeled images alone: the settings see to that
        known = {example.path: split.labeled.class_names[example.label] for example in split.labeled.examples}
        classes = tuple(known[path] for path in images)
    folder = tuning_folder(settings, dataset.name, model_id, images_id, classes)
    return TuningPlan(
        checkpoint, model_id, split.labeled, images, images_id, classes, folder, settings.tune.steps, hub_id
    )


def _check_prompt(settings: Settings, described: Checkpoint) -> None:
    if settings.prompt is None:
        return
    if "text_cfg" not in described.clip:
        raise ValueError(f"prompt={settings.prompt!r}: {described.path} embeds images alone; leave the prompt out")
    if settings.tune.steps == 0 and described.image_norm is None:
        raise ValueError(
            f"prompt={settings.prompt!r} is given the mean length of image embeddings, which tuning measures: give "
            "tune.steps=1 or more"
        )


def would_fetch(generator: GeneratorSettings) -> str | None:
    """What a run with these weights would fetch first, in words for a dry run; None where all is there.

    Raises:
        ValueError, FileNotFoundError: as `generators.hub.look_up`.
    """
    name = generator.checkpoint or ""
    if generator.name == "embedded" or not (hub.is_hub_id(name) and may_fetch()):
        return None
    remote = hub.look_up(name)
    if not remote.to_fetch:
        return None
    sizes = list(remote.to_fetch.values())
    much = f", {sum(size or 0 for size in sizes) / 1e6:.1f} MB" if None not in sizes else ""
    files = "\n".join(f"  {file}" for file in remote.to_fetch)
    return f"would first fetch {len(sizes)} files of {remote.id}{much}:\n{files}"


def checkpoint_path(generator: GeneratorSettings) -> Path:
    """The pretrained weights' folder, fetched if need be, or the published checkpoint's file."""
    return checkpoint_and_hub_id(generator)[0]


def checkpoint_and_hub_id(generator: GeneratorSettings) -> tuple[Path, str | None]:
    """The pretrained weights' folder or file, and owner/name@commit where they are of the hub: fetched if need be.

    Raises:
        ValueError: no checkpoint is named, or one that has no effect; a pipeline of the hub that is not read here; or
            embedded weights that were altered.
        FileNotFoundError: the embedded weights or those of the hub are not there; what else is missing `describe` says.
    """
    if generator.name == "embedded":
        if generator.checkpoint is not None:
            raise ValueError("generator.checkpoint has no effect on generator=embedded: use generator=ldm with it")
        if generator.clip_checkpoint is not None:
            raise ValueError("generator.clip_checkpoint has no effect on generator=embedded: it has its own CLIP")
        refuse_altered_weights(EMBEDDED, GENERATOR)
        return EMBEDDED, None
    require_named(generator)
    assert generator.checkpoint is not None
    return locate(generator.checkpoint)
