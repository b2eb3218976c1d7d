"""python -m ssl_aug.tune [name=value ...]

Adapts the generator to the training images, without their labels (paper 3.2). A stopped run goes on where it stopped.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_aug.data.base import Dataset, Split, file_list_id
from ssl_aug.data.build import load_split
from ssl_aug.data.split import draw_subset
from ssl_aug.help import generation_help
from ssl_aug.runtime import command, derived_seed, placement, shard, versions, write_json, written_atomically
from ssl_aug.settings import Settings, compose, short_hash, to_dict

if TYPE_CHECKING:
    from torch import Tensor

    from generators.ldm import LatentDiffusion
    from ssl_aug.encodings import Encodings
    from ssl_aug.runtime import Placement


EMBEDDED = Path(__file__).parent / "embedded"  # the weights that come with the package


@dataclass(frozen=True)
class TuningPlan:
    """What is tuned on what, and where the result lies."""

    checkpoint: Path  # the pretrained model's folder, or the published file
    model_id: str  # hash of its weights
    images: tuple[Path, ...]
    images_id: str
    folder: Path  # of the adapter

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter.safetensors"


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
    tune = to_dict(settings.tune)
    del tune["save_every"], tune["root"]
    model_id, images_id = weights_hash(checkpoint, settings.generator.clip_checkpoint), file_list_id(images)
    key = short_hash([model_id, images_id, tune, settings.generator.image_size])
    folder = Path(settings.tune.root) / f"{dataset.name}-{settings.tune.approach}-{key}"
    return TuningPlan(checkpoint, model_id, images, images_id, folder)


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

    Where the adapter is already there nothing is done.

    Raises:
        ValueError: several processes without an adapter, float16, or an image that cannot be read.
    """
    import torch
    from safetensors.torch import save_file

    from generators import anl, ldm
    from ssl_aug.encodings import encode
    from ssl_aug.training import LoopSettings, train

    if plan.adapter.is_file():
        return plan.adapter
    if shard()[1] > 1:
        raise ValueError(
            "there are no tuned weights yet, and several processes would each make their own: "
            "run python -m ssl_aug.tune with the same settings in one process first"
        )
    if place.dtype == torch.float16:
        raise ValueError("precision=fp16: tuning needs bf16 or fp32; draw in fp16 afterwards")
    options = settings.tune
    model = ldm.load(plan.checkpoint, settings.generator.clip_checkpoint)
    model.to(place.device, memory_format=torch.channels_last)
    image_size = settings.generator.image_size or model.facts.image_size
    encodings = encode(plan.images, model, plan.model_id, image_size, options.flip, place)
    if options.approach == "scratch":
        reinitialise(model, options.seed)
    names = anl.trained_names(model.unet, options.approach)
    parameters = anl.set_trainable(model.unet, names)
    loop = LoopSettings(
        options.steps,
        options.base_learning_rate * options.batch_size,
        options.weight_decay,
        gradient_clip=options.gradient_clip,
        save_every=options.save_every,
        seed=options.seed,
    )
    loss_of_step = make_loss(model.train(), encodings, settings, place)
    losses = train(parameters, loss_of_step, loop, plan.folder / "checkpoint.pt", f"tuning ({options.approach})")
    _write_losses(plan.folder / "losses.csv", losses)
    write_json(plan.folder / "adapter.json", _facts(settings, plan, model, len(names)))
    with written_atomically(plan.adapter) as part:
        save_file(anl.adapter_state(model.unet, names), part)
    (plan.folder / "checkpoint.pt").unlink(missing_ok=True)
    return plan.adapter


def make_loss(model: LatentDiffusion, encodings: Encodings, settings: Settings, place: Placement) -> Any:
    """step -> Eq. 10 on the batch of that step."""
    import torch

    from generators.losses import noise_prediction_loss
    from generators.sampling import alphas_cumprod
    from ssl_aug.training import batch_indices

    options = settings.tune
    alpha_bar = alphas_cumprod(model.facts.schedule).to(place.device)
    num_images = len(encodings) // 2 if options.flip else len(encodings)

    def eps_theta(z_t: Tensor, t: Tensor, c: Tensor) -> Tensor:
        predicted: Tensor = model.unet(z_t, t, encoder_hidden_states=c).sample
        return predicted

    def loss_of_step(step: int) -> Tensor:
        rows = batch_indices(num_images, options.batch_size, step, options.seed)
        if options.flip:
            rows = rows + num_images * torch.randint(0, 2, rows.shape)
        latents, tokens = encodings.rows(rows)
        # drawn on the CPU, so that every device sees the same noise
        t = torch.randint(0, len(alpha_bar), (len(rows),))
        eps = torch.randn_like(latents)
        dropped = torch.rand(len(rows)) < options.condition_dropout
        tokens = torch.where(dropped[:, None, None], model.null_token.cpu(), tokens)
        latents, tokens, eps, t = (tensor.to(place.device) for tensor in (latents, tokens, eps, t))
        with place.autocast():
            return noise_prediction_loss(eps_theta, latents, tokens, eps, t, alpha_bar)

    return loss_of_step


def reinitialise(model: LatentDiffusion, seed: int) -> None:
    """Random UNet weights, zero where CompVis starts from zero (ScratchDiff)."""
    import torch

    from generators.ldm import zero_initialise

    torch.manual_seed(derived_seed("scratch", seed))
    for module in model.unet.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.GroupNorm | torch.nn.LayerNorm):
            module.reset_parameters()
    zero_initialise(model.unet)


def _facts(settings: Settings, plan: TuningPlan, model: LatentDiffusion, num_names: int) -> dict[str, Any]:
    total = sum(parameter.numel() for parameter in model.unet.parameters())
    tuned = sum(parameter.numel() for parameter in model.unet.parameters() if parameter.requires_grad)
    return {
        "approach": settings.tune.approach,
        "num_tuned_tensors": num_names,
        "num_tuned_parameters": tuned,
        "num_unet_parameters": total,
        "num_images": len(plan.images),
        "images_id": plan.images_id,
        "model_id": plan.model_id,
        "tune": to_dict(settings.tune),
        "versions": versions(),
    }


def _write_losses(path: Path, losses: list[float]) -> None:
    with written_atomically(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("step", "loss"))
        writer.writerows(enumerate(losses))


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print(generation_help(__doc__ or ""))
        return
    settings = compose("tune", arguments, Settings)
    place = placement(settings.device, settings.precision)
    plan = plan_tuning(settings, *load_split(settings.data))
    if settings.dry_run:
        print(f"would tune on {len(plan.images)} images for {settings.tune.steps} steps and write {plan.adapter}")
        return
    known = plan.adapter.is_file()
    print(f"{plan.adapter} is already there" if known else f"tuned weights: {tune(settings, plan, place)}")


if __name__ == "__main__":
    command(main)
