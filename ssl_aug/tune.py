"""python -m ssl_aug.tune [name=value ...]

Adapts the generator to the training images, without their labels (paper 3.2). A stopped run goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generators.config import TUNED
from ssl_aug.command_line import compose, overrides_of
from ssl_aug.data.base import Dataset, Split, file_list_id
from ssl_aug.data.build import load_split
from ssl_aug.data.split import draw_subset
from ssl_aug.help import generation_help
from ssl_aug.runtime import (
    accelerator_of,
    command,
    placement,
    read_json,
    shard,
    versions,
    write_json,
    written_atomically,
)
from ssl_aug.settings import EMBEDDED, NOT_DECIDING_TUNE, Settings, short_hash, to_dict

if TYPE_CHECKING:
    from torch import Tensor

    from generators.anl import Adapter
    from generators.ldm import LatentDiffusion
    from ssl_aug.encodings import Encodings
    from ssl_aug.runtime import Placement


FLAGS = {"--device": "device"}
SWITCHES = {"--dry-run": "dry_run"}


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
    """
    from generators.ldm import weights_hash

    checkpoint = checkpoint_path(settings)
    images = split.labeled.paths if settings.tune.images == "labeled" else dataset.training_images
    if settings.data.subset is not None:
        images = draw_subset(images, settings.data.subset, settings.data.split_seed)
    tune = {name: value for name, value in to_dict(settings.tune).items() if name not in NOT_DECIDING_TUNE}
    del tune["steps"]
    model_id, images_id = weights_hash(checkpoint, settings.generator.clip_checkpoint), file_list_id(images)
    key = short_hash([model_id, images_id, tune, settings.generator.image_size, settings.generator.tokens])
    folder = Path(settings.tune.root) / f"{dataset.name}-{settings.tune.approach}-{key}"
    return TuningPlan(checkpoint, model_id, images, images_id, folder, settings.tune.steps)


def checkpoint_path(settings: Settings) -> Path:
    """The folder of the pretrained weights, or the published checkpoint's file.

    Raises:
        ValueError: no checkpoint is named, or one that has no effect.
        FileNotFoundError: it is not there.
    """
    generator = settings.generator
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
            f"generator={generator.name} needs generator.checkpoint=PATH: the published model.ckpt (cin256-v2), or a "
            "folder that python -m ssl_aug.convert made of it"
        )
    if not Path(generator.checkpoint).exists():
        raise FileNotFoundError(f"generator.checkpoint={generator.checkpoint}: there is no such file or folder")
    return Path(generator.checkpoint)


def tune(settings: Settings, plan: TuningPlan, place: Placement) -> Path:
    """Tunes, or goes on tuning, and writes the adapter; returns its file.

    Where the adapter is already there nothing is done. A tuning of fewer steps that is otherwise the same is gone on
    with.

    Raises:
        ValueError: settings that do not fit together, or an image that cannot be read.
    """
    import torch
    from safetensors.torch import save_file

    from generators import ldm
    from ssl_aug.encodings import read_batch
    from ssl_aug.tuning import steps_done, tune_unet

    if plan.adapter.is_file():
        return plan.adapter
    generator = settings.generator
    if place.dtype == torch.float16 and place.device.type == "cpu":
        raise ValueError("precision=fp16: a CPU does not compute in it; use bf16 or fp32")
    accelerator = accelerator_of(place)
    if shard()[1] > 1 and accelerator.num_processes == 1:
        raise ValueError("a Slurm array would tune in every task: run python -m ssl_aug.tune once, or under torchrun")
    model = ldm.load(plan.checkpoint, generator.clip_checkpoint)
    model.clip.tokens = generator.tokens
    model.to(place.device, memory_format=torch.channels_last)
    image_size = generator.image_size or model.facts.image_size
    with accelerator.main_process_first():  # the others read what it wrote
        encodings = encodings_of(settings, plan, model, place)
    if model.clip.image_norm is None:
        model.clip.image_norm = float(torch.from_numpy(encodings.tokens[:, 0].copy()).norm(dim=1).mean())
    references = read_batch(plan.images[:: max(1, len(plan.images) // 8)][:8], image_size)
    checkpoint = plan.folder / "checkpoint.pt"
    if steps_done(checkpoint) > settings.tune.steps:  # there is no way back: from the beginning, beside it
        checkpoint = plan.folder / f"checkpoint_{settings.tune.steps:06d}.pt"
    adapter, state = tune_unet(model, encodings, settings, accelerator, checkpoint, references)
    if accelerator.is_main_process:
        write_json(plan.adapter.with_suffix(".json"), _facts(settings, plan, model, adapter, state.losses))
        with written_atomically(plan.adapter) as part:
            save_file(adapter, part)
        if checkpoint.name != "checkpoint.pt":
            checkpoint.unlink(missing_ok=True)
    accelerator.wait_for_everyone()  # nobody goes on before the file is there
    accelerator.free_memory()
    return plan.adapter


def encodings_of(settings: Settings, plan: TuningPlan, model: LatentDiffusion, place: Placement) -> Encodings:
    """Latents and tokens of the tuning images, made once; row i is image i, mirrored ones come after all others."""
    from ssl_aug.encodings import encode

    tokens = settings.generator.tokens
    encoders = plan.model_id if tokens == "pooled" else f"{plan.model_id}-{tokens}"
    image_size = settings.generator.image_size or model.facts.image_size
    return encode(plan.images, model, encoders, image_size, settings.tune.flip, place)


def read_adapter(path: Path) -> Adapter:
    """A tuning's weights, with the facts beside them."""
    from safetensors.torch import load_file

    from generators.anl import Adapter

    facts = read_json(path.with_suffix(".json"))
    return Adapter(load_file(path), facts["approach"] == "anl_unconditional", facts["clip_image_norm"])


def _facts(
    settings: Settings, plan: TuningPlan, model: LatentDiffusion, adapter: dict[str, Tensor], losses: list[float]
) -> dict[str, Any]:
    return {
        "approach": settings.tune.approach,
        "num_tuned_tensors": len(adapter),
        "num_tuned_parameters": sum(tensor.numel() for tensor in adapter.values()),
        "num_unet_parameters": sum(parameter.numel() for parameter in model.unet.parameters()),
        "num_images": len(plan.images),
        "images_id": plan.images_id,
        "model_id": plan.model_id,
        "clip_image_norm": model.clip.image_norm,
        "loss_of_last_50_steps": sum(losses[-50:]) / len(losses[-50:]),
        "tune": to_dict(settings.tune),
        "versions": versions(),
    }


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print(generation_help(__doc__ or ""))
        return
    settings = compose("tune", overrides_of(arguments, FLAGS, SWITCHES), Settings)
    if settings.generator.name not in TUNED:
        raise ValueError(
            f"generator={settings.generator.name} is not tuned: leave this step out, or give one of {', '.join(TUNED)}"
        )
    place = placement(settings.device, settings.precision)
    plan = plan_tuning(settings, *load_split(settings.data))
    if settings.dry_run:
        print(f"would tune on {len(plan.images)} images for {settings.tune.steps} steps and write {plan.adapter}")
        return
    known = plan.adapter.is_file()
    print(f"{plan.adapter} is already there" if known else f"tuned weights: {tune(settings, plan, place)}")


if __name__ == "__main__":
    command(main)
