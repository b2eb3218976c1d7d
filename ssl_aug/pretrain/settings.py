"""How long each of the embedded models is trained."""

from __future__ import annotations

from dataclasses import dataclass

from generators.allowed import Above0, AnyWhole, AtLeast1, PathText, check, shown
from ssl_aug.settings import Device, Precision

STAGES = ("backbone", "autoencoder", "clip", "unet", "decoder")
HELD_OUT = 1000  # of the drawn pictures, the last ones


@dataclass(frozen=True)
class PretrainSettings:
    """Budgets of the five trainings; the defaults take a few hours on 2 CPU cores."""

    out: PathText = "outputs/embedded"  # folder of the weights; the embedded ones lie in ssl_aug/embedded
    work: PathText = "outputs/pretrain"  # drawn pictures, encodings and checkpoints
    stages: str = "all"  # all, or one or more of backbone, autoencoder, clip, unet, decoder, joined by +
    num_images: AtLeast1 = 60000  # pictures of the source world; the last 1,000 are held out
    processes: AtLeast1 = 2  # that draw them
    # folder of an earlier pretraining, whose weights are trained on; null: from nothing
    start_from: PathText | None = None
    backbone_steps: AtLeast1 = 2000  # of 64 pictures
    autoencoder_steps: AtLeast1 = 6000  # of autoencoder_batch_size pictures
    autoencoder_batch_size: AtLeast1 = 32  # pictures in a step
    clip_steps: AtLeast1 = 6000  # of clip_batch_size pictures with their captions
    clip_batch_size: AtLeast1 = 128  # pictures in a step
    unet_steps: AtLeast1 = 20000  # of unet_batch_size pictures
    unet_batch_size: AtLeast1 = 64  # pictures in a step
    unet_learning_rate: Above0 = 5e-4  # at the end of the warm-up; lower it with start_from, less is unlearned then
    # of autoencoder_batch_size pictures; the decoder of out's model, for sharper pictures
    decoder_steps: AtLeast1 = 1500
    seed: AnyWhole = 0  # of the source world and of every stage
    device: Device = "auto"  # auto, cpu or cuda
    precision: Precision = "auto"  # auto, fp32, bf16 or fp16
    compile: bool = False  # the UNet, with torch.compile: faster steps after minutes of compiling; needs a C++ compiler

    def __post_init__(self) -> None:
        check(self)
        if self.num_images <= HELD_OUT:
            raise ValueError(f"num_images={self.num_images}: {HELD_OUT} are held out, give more")
        unknown = set(self.stage_names) - set(STAGES)
        if unknown:
            raise ValueError(f"stages={shown(self.stages)}: choose all, or of {', '.join(STAGES)}, joined by +")
        if self.start_from is not None and self.stage_names == ("decoder",):
            raise ValueError("start_from has no effect on stages=decoder, which goes on from out's own weights")

    @property
    def stage_names(self) -> tuple[str, ...]:
        return STAGES if self.stages == "all" else tuple(self.stages.split("+"))
