"""How long each of the embedded models is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields

STAGES = ("backbone", "autoencoder", "clip", "unet", "decoder")
HELD_OUT = 1000  # of the drawn pictures, the last ones


@dataclass(frozen=True)
class PretrainSettings:
    """Budgets of the five trainings; the defaults take a few hours on 2 CPU cores."""

    out: str = "outputs/embedded"  # folder of the weights; the embedded ones lie in ssl_aug/embedded
    work: str = "outputs/pretrain"  # drawn pictures, encodings and checkpoints
    stages: str = "all"  # all, or one or more of backbone, autoencoder, clip, unet, decoder, joined by +
    num_images: int = 60000  # pictures of the source world; the last 1,000 are held out
    processes: int = 2  # that draw them
    start_from: str | None = None  # folder of an earlier pretraining, whose weights are trained on; null: from nothing
    backbone_steps: int = 2000  # of 64 pictures
    autoencoder_steps: int = 6000  # of autoencoder_batch_size pictures
    autoencoder_batch_size: int = 32  # pictures in a step
    clip_steps: int = 6000  # of clip_batch_size pictures with their captions
    clip_batch_size: int = 128  # pictures in a step
    unet_steps: int = 20000  # of unet_batch_size pictures
    unet_batch_size: int = 64  # pictures in a step
    decoder_steps: int = 1500  # of autoencoder_batch_size pictures; the decoder of out's model, for sharper pictures
    seed: int = 0  # of the source world and of every stage
    device: str = "auto"  # auto, cpu or cuda
    precision: str = "auto"  # auto, fp32, bf16 or fp16
    compile: bool = False  # the UNet, with torch.compile: faster steps after minutes of compiling; needs a C++ compiler

    def __post_init__(self) -> None:
        unknown = set(self.stage_names) - set(STAGES)
        if unknown:
            raise ValueError(f"stages={self.stages}: choose all, or of {', '.join(STAGES)}, joined by +")
        if self.num_images <= HELD_OUT:
            raise ValueError(f"num_images={self.num_images}: {HELD_OUT} are held out, give more")
        for name in (field.name for field in fields(self) if field.name.endswith(("_steps", "_batch_size"))):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")
        if self.start_from is not None and self.stage_names == ("decoder",):
            raise ValueError("start_from has no effect on stages=decoder, which goes on from out's own weights")

    @property
    def stage_names(self) -> tuple[str, ...]:
        return STAGES if self.stages == "all" else tuple(self.stages.split("+"))
