"""The stages of the pretraining, one after the other: what each is given, what it leaves, how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators import model_folder
from generators.conditioning import ClipEncoder
from generators.hashes import file_hash
from generators.kept_weights import write_weights
from generators.weights import load_weights, read_weights
from ssl_aug.files import written_atomically
from ssl_aug.lock import locked, remove_leftovers
from ssl_aug.made_by import command_of, write_command
from ssl_aug.pretrain import record
from ssl_aug.pretrain.autoencoder import PIXEL_FOLD, make_autoencoder, pretrain_autoencoder, psnr, sharpen_decoder
from ssl_aug.pretrain.backbone_training import BackboneSettings, pretrain_backbone
from ssl_aug.pretrain.clip import CONFIG, LARGEST_MASK_RATE, TOKEN_NORM, masked_half, pretrain_clip
from ssl_aug.pretrain.diffusion import assemble, pretrain_unet
from ssl_aug.pretrain.settings import HELD_OUT, PretrainSettings
from ssl_aug.pretrain.training import TRY_INSTEAD
from ssl_aug.runtime import Placement, derived_seed, placement, progress_bar
from ssl_aug.shipped import WEIGHTS
from ssl_aug.tuning.encodings import encode_arrays, images_to_tensor
from ssl_aug.versions import versions
from ssl_aug.world.carbodies import VARIATION, deviations_of
from ssl_aug.world.source_bank import SourceBank, draw_bank
from ssl_aug.world.source_world import MODEL_SPREAD


def pretrain(settings: PretrainSettings) -> None:
    """Runs the stages that are asked for and not yet done."""
    out, work = Path(settings.out), Path(settings.work)
    place = placement(settings.device, settings.precision)
    with locked(out, "pretraining into"), locked(work, "pretraining in"):
        remove_leftovers(work, "*/.*.part")
        with progress_bar(settings.num_images, "drawing the source world") as bar:

            def drawn(done: int, total: int) -> None:
                bar.update(done - bar.n)

            bank = draw_bank(work / "source", settings.num_images, settings.seed, settings.processes, drawn)
        write_command(out, command_of("ssl_aug.pretrain", "pretrain", settings, PretrainSettings))
        torch.manual_seed(settings.seed)
        for stage in settings.stage_names:
            if stage in record.done(out):
                print(f"{stage}: already in {out}")
                continue
            start = time.perf_counter()
            facts = RUNNERS[stage](settings, bank, place, out, work)
            facts |= {"seconds_of_last_start": round(time.perf_counter() - start), "device": str(place.device)}
            options = {name: value for name, value in asdict(settings).items() if name not in ("out", "work")}
            record.note(out, stage, {**facts, "settings": options, "versions": versions()})
            print(f"{stage}: {facts}")


def _run_backbone(
    settings: PretrainSettings, bank: SourceBank, place: Placement, out: Path, work: Path
) -> dict[str, Any]:
    options = BackboneSettings(steps=settings.backbone_steps, seed=settings.seed)
    facts = pretrain_backbone(options, bank, out, place, time.perf_counter)
    return {"held_out_accuracy": facts["held_out_accuracy"]}


def _run_autoencoder(
    settings: PretrainSettings, bank: SourceBank, place: Placement, out: Path, work: Path
) -> dict[str, Any]:
    torch.manual_seed(settings.seed)
    model = make_autoencoder()
    _start(settings, "autoencoder", model)
    losses = pretrain_autoencoder(
        model, bank.images[:-HELD_OUT],
        settings.autoencoder_steps, settings.autoencoder_batch_size, place, settings.seed, work,
    )  # fmt: skip
    _save(model.state_dict(), work / "autoencoder.safetensors")
    images = images_to_tensor(bank.images[-HELD_OUT:][:512])
    with torch.no_grad():
        latents = model.encode(F.pixel_unshuffle(images, PIXEL_FOLD)).latent_dist.mode()
        decoded = F.pixel_shuffle(model.decode(latents).sample, PIXEL_FOLD)
    return {
        "loss": _tail(losses),
        "psnr_held_out_db": round(psnr(decoded, images), 2),
        "latent_scale": round(1 / float(latents.std()), 5),
    }


def _run_clip(settings: PretrainSettings, bank: SourceBank, place: Placement, out: Path, work: Path) -> dict[str, Any]:
    captions = [row["caption"] for row in bank.rows]
    models = np.array([row["model_index"] for row in bank.rows], dtype=np.int64)
    shapes = np.full((len(bank.rows), len(VARIATION)), np.nan)
    for row, shape in zip(bank.rows, shapes, strict=True):
        if row["model"] is not None:
            shape[:] = deviations_of(row["body_type"], row["model"])
    azimuths = np.radians([row["scene"]["azimuth_deg"] for row in bank.rows])
    last = len(captions) - HELD_OUT
    torch.manual_seed(settings.seed)
    encoder = ClipEncoder(CONFIG, TOKEN_NORM)
    _start(settings, "clip", encoder.model)
    losses = pretrain_clip(
        encoder, bank.images[:last], captions[:last], models[:last], shapes[:last] / MODEL_SPREAD, azimuths[:last],
        settings.clip_steps, settings.clip_batch_size, place, settings.seed, work,
    )  # fmt: skip
    _save(encoder.model.state_dict(), work / "clip.safetensors")
    with torch.no_grad():
        image = encoder.embed_images(images_to_tensor(bank.images[last : last + 256]))[:, 0]
        text = encoder.embed_texts(captions[last : last + 256])[:, 0]
    ranks = (F.normalize(image, dim=1) @ text.T).argsort(dim=1, descending=True)
    top5 = (ranks[:, :5] == torch.arange(len(ranks))[:, None]).any(dim=1).float().mean()
    return {"loss": _tail(losses), "held_out_caption_in_top5_of_256": round(float(top5), 4)}


def _run_unet(settings: PretrainSettings, bank: SourceBank, place: Placement, out: Path, work: Path) -> dict[str, Any]:
    for part in ("autoencoder", "clip"):
        if part not in record.done(out):
            raise ValueError(f"stages={settings.stages}: the unet needs the {part} first: stages=autoencoder+clip+unet")
    autoencoder, clip = make_autoencoder(), ClipEncoder(CONFIG, TOKEN_NORM)
    autoencoder.load_state_dict(read_weights(work / "autoencoder.safetensors"))
    clip.model.load_state_dict(read_weights(work / "clip.safetensors"))
    scale = record.done(out)["autoencoder"]["latent_scale"]
    model = assemble(autoencoder, clip, scale, settings.seed).to(place.device)
    _start(settings, "unet", model.unet)
    name = file_hash(work / "autoencoder.safetensors")[:8] + file_hash(work / "clip.safetensors")[:8]
    folder, fill = work / f"encodings-{name}-{len(bank.rows)}-masked-{LARGEST_MASK_RATE}", clip.fill("mean")

    def half_of_them_masked(pictures: Tensor, numbers: range) -> Tensor:
        """Masked sampling gives the network such tokens: it learns what pictures may lie behind them."""
        return masked_half(pictures, [derived_seed("mask", settings.seed, number) for number in numbers], fill)

    encodings = encode_arrays(bank.images[:-HELD_OUT], model, folder, place, half_of_them_masked)
    losses = pretrain_unet(
        model, encodings,
        settings.unet_steps, settings.unet_batch_size, settings.unet_learning_rate, place, settings.seed, folder,
        settings.compile,
    )  # fmt: skip
    model_folder.save(model.cpu(), out, torch.float16)
    record.forget(out, "decoder")  # it was of the model before
    return {"loss": _tail(losses)}


def _run_decoder(
    settings: PretrainSettings, bank: SourceBank, place: Placement, out: Path, work: Path
) -> dict[str, Any]:
    if "unet" not in record.done(out):
        raise ValueError(f"stages={settings.stages}: the decoder is trained after the unet, and {out} holds none")
    model = model_folder.load(out)
    folder = work / f"decoder-{file_hash(out / 'unet.safetensors')[:8]}"  # of this very model's checkpoints
    losses = sharpen_decoder(
        model, bank.images[:-HELD_OUT],
        settings.decoder_steps, settings.autoencoder_batch_size, place, settings.seed, folder,
    )  # fmt: skip
    _save(
        {name: tensor.half() for name, tensor in model.autoencoder.state_dict().items()},
        out / WEIGHTS["decoder"],
    )
    images = images_to_tensor(bank.images[-HELD_OUT:][:512])
    return {"loss": _tail(losses), "psnr_held_out_db": round(psnr(model.decode(model.encode(images)), images), 2)}


RUNNERS: dict[str, Callable[[PretrainSettings, SourceBank, Placement, Path, Path], dict[str, Any]]] = {
    "backbone": _run_backbone,
    "autoencoder": _run_autoencoder,
    "clip": _run_clip,
    "unet": _run_unet,
    "decoder": _run_decoder,
}


def _start(settings: PretrainSettings, part: str, module: nn.Module) -> None:
    """Gives a part the weights of the pretraining that `start_from` names, if any."""
    if settings.start_from is not None:
        path = Path(settings.start_from) / f"{part}.safetensors"
        if not path.is_file():
            raise ValueError(f"start_from={settings.start_from} holds no {path.name}")
        load_weights(module, path)


def _save(weights: dict[str, Tensor], path: Path) -> None:
    with written_atomically(path) as part:
        write_weights(weights, part, TRY_INSTEAD)


def _tail(losses: list[float]) -> float:
    last = losses[-200:]
    return round(sum(last) / len(last), 5)
