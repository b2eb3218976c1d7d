"""Pretrains the embedded classifier backbone: a small timm network that names what source pictures show.

Each attribute (kind of thing, view, paint, lamps ...) and the identity of the source car has a linear head on the
pooled features. No class of toycars is among the source cars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.hashes import file_hash
from generators.kept_weights import read_state, refuse_non_finite, write_state, write_weights
from ssl_aug import files, runtime
from ssl_aug.pretrain.backbone import INPUT_SIZE_PX, MEAN, STD, build_backbone, normalized, random_views
from ssl_aug.pretrain.training import TRY_INSTEAD, LoopSettings, learning_rate_at
from ssl_aug.tuning.batches import pass_after_pass
from ssl_aug.world.carmodel import GRILLE_SHAPES, LAMP_SHAPES, TAIL_SHAPES
from ssl_aug.world.scene import PAINTS, TIMES, VIEWS
from ssl_aug.world.source_bank import SourceBank
from ssl_aug.world.source_world import KINDS, NUM_MODELS

TASKS: dict[str, int] = {
    "kind": len(KINDS),
    "view": len(VIEWS),
    "paint": len(PAINTS),
    "time": len(TIMES),
    "lamp": len(LAMP_SHAPES),
    "grille": len(GRILLE_SHAPES),
    "tail": len(TAIL_SHAPES),
    "model": NUM_MODELS,
}
IGNORED = -1  # label of an attribute that the picture does not show


@dataclass(frozen=True)
class BackboneSettings:
    """How the backbone is built and pretrained."""

    timm_name: str = "resnet18"
    timm_args: dict[str, Any] = field(
        default_factory=lambda: {"channels": [32, 64, 128, 256], "stem_type": "deep", "stem_width": 16}
    )  # 2.8 M parameters; three 3x3 convolutions as stem keep small parts legible
    tasks: tuple[str, ...] = ("kind", "view", "paint", "time", "lamp", "grille", "tail", "model")
    steps: int = 2000
    batch_size: int = 128
    learning_rate: float = 2e-3  # peak of AdamW's; 5 % warm-up, then a half cosine to 0
    weight_decay: float = 0.05
    crop: float = 0.7  # smallest area of the random crop, share of the picture
    seed: int = 0
    checkpoint_steps: int = 200  # between two points from which a stopped run goes on

    def __post_init__(self) -> None:
        unknown = set(self.tasks) - set(TASKS)
        if unknown or not self.tasks:
            raise ValueError(f"pretrain.tasks={self.tasks}: unknown {sorted(unknown)}; allowed: {', '.join(TASKS)}")
        if min(self.steps, self.batch_size, self.checkpoint_steps) < 1:
            raise ValueError("pretrain.steps, batch_size and checkpoint_steps must be at least 1")
        if not 0 < self.crop <= 1:
            raise ValueError(f"pretrain.crop={self.crop} must lie in (0, 1]")


def labels_of(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Labels (n,) int64 of each task from the factors of a bank; IGNORED where a picture does not show it."""

    def row_labels(row: dict[str, Any]) -> dict[str, int]:
        model, view = row["model"], row["view"]
        front, rear = (
            model is not None and view.startswith("front"),
            model is not None and view.startswith("rear"),
        )
        is_vehicle = model is not None or row["body_type"] in ("bus", "box truck")
        return {
            "kind": KINDS.index(row["body_type"]),
            "view": VIEWS.index(view) if is_vehicle else IGNORED,
            "paint": list(PAINTS).index(row["paint"]),
            "time": TIMES.index(row["scene"]["time"]),
            "lamp": LAMP_SHAPES.index(model["lamp"]) if front else IGNORED,
            "grille": GRILLE_SHAPES.index(model["grille"]) if front else IGNORED,
            "tail": TAIL_SHAPES.index(model["tail"]) if rear else IGNORED,
            "model": row["model_index"],
        }

    named = [row_labels(row) for row in rows]
    return {task: np.array([labels[task] for labels in named], dtype=np.int64) for task in TASKS}


class _Classifier(nn.Module):
    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        self.backbone = build_backbone(settings.timm_name, settings.timm_args)
        features = int(self.backbone.num_features)
        self.heads = nn.ModuleDict({task: nn.Linear(features, TASKS[task]) for task in settings.tasks})

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        features = self.backbone(pixels)
        return {task: head(features) for task, head in self.heads.items()}


def pretrain_backbone(
    settings: BackboneSettings,
    bank: SourceBank,
    out: Path,
    place: runtime.Placement,
    clock: Callable[[], float],
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Pretrains the backbone and writes `out`/backbone.safetensors (float16) and `out`/backbone.json.

    Args:
        settings: network, tasks and optimizer.
        bank: pictures and factors; the last twentieth is held out and measured at the end.
        out: folder for the result; a stopped run goes on from the checkpoint it left there.
        place: device and precision.
        clock: seconds from any beginning; for the time in backbone.json.
        progress: called with (step, steps, mean loss of each task) at each checkpoint.

    Returns:
        What was written to backbone.json: network, data, settings, losses, accuracy, hash of the weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = _Classifier(settings).to(place.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    labels = {task: torch.from_numpy(values) for task, values in labels_of(bank.rows).items()}
    num_train = len(bank.rows) - len(bank.rows) // 20
    checkpoint = out / "backbone.checkpoint.pt"
    first, seconds = _resumed(checkpoint, settings, network, optimizer)
    losses: dict[str, float] = {}
    warmup = max(1, settings.steps // 20)
    schedule = LoopSettings(settings.steps, settings.learning_rate, schedule="cosine", warmup_steps=warmup)
    began = clock() - seconds
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, schedule)
        chosen = pass_after_pass(num_train, settings.batch_size, step, settings.seed).sort().values
        generator = torch.Generator().manual_seed(runtime.derived_seed("backbone", settings.seed, step))
        pixels = normalized(torch.from_numpy(bank.images[chosen.numpy()]).to(place.device))
        pixels, flipped = random_views(pixels, settings.crop, generator)
        targets = {task: labels[task][chosen].to(place.device) for task in settings.tasks}
        if "view" in targets:
            view = targets["view"]
            targets["view"] = torch.where(flipped & (view >= 0), -view % len(VIEWS), view)
        with place.autocast():
            logits = network(pixels.contiguous(memory_format=torch.channels_last))
        parts = {task: _masked_loss(logits[task].float(), targets[task]) for task in settings.tasks}
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
        for task, part in parts.items():
            losses[task] = 0.98 * losses.get(task, part.item()) + 0.02 * part.item()
        if (step + 1) % settings.checkpoint_steps == 0:
            state = {"step": step + 1, "seconds": clock() - began, "settings": asdict(settings)}
            refuse_non_finite(network.state_dict(), f"weights after {step + 1} steps", TRY_INSTEAD)
            state |= {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            with files.written_atomically(checkpoint) as part_path:
                write_state(state, part_path)
            if progress is not None:
                progress(step + 1, settings.steps, losses)
    accuracy = held_out_accuracy(network, bank, labels, range(num_train, len(bank.rows)), place)
    facts = _write(settings, network, out, len(bank.rows), losses, accuracy, clock() - began)
    checkpoint.unlink(missing_ok=True)
    return facts


def _masked_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy over the pictures that show the attribute, 0 where none does."""
    count = (target != IGNORED).sum().clamp(min=1)
    return F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum") / count


def _resumed(
    checkpoint: Path, settings: BackboneSettings, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """(first step, seconds spent) of a run, after loading the checkpoint where there is one."""
    if not checkpoint.exists():
        return 0, 0.0
    state = read_state(checkpoint, "remove it, and the training begins again")
    if state["settings"] != asdict(settings):
        raise ValueError(f"{checkpoint} is of a run with other settings: remove it or choose another folder")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])


@torch.no_grad()
def held_out_accuracy(
    network: nn.Module, bank: SourceBank, labels: dict[str, Tensor], numbers: range, place: runtime.Placement
) -> dict[str, float]:
    """Share of right answers of each head on pictures not trained on; without tasks that none of them shows."""
    network.eval()
    right: dict[str, list[Tensor]] = {}
    for begin in range(numbers.start, numbers.stop, 250):
        chosen = slice(begin, min(begin + 250, numbers.stop))
        with place.autocast():
            logits = network(normalized(torch.from_numpy(bank.images[chosen].copy()).to(place.device)))
        for task, values in logits.items():
            target = labels[task][chosen]
            shown = target != IGNORED
            right.setdefault(task, []).append((values.argmax(1).cpu() == target)[shown])
    answers = {task: torch.cat(parts).float() for task, parts in right.items()}
    return {task: round(values.mean().item(), 4) for task, values in answers.items() if len(values)}


def _write(
    settings: BackboneSettings,
    network: nn.Module,
    out: Path,
    num_images: int,
    losses: dict[str, float],
    accuracy: dict[str, float],
    seconds: float,
) -> dict[str, Any]:
    backbone = network.backbone
    assert isinstance(backbone, nn.Module)
    state = {name: value.half() for name, value in backbone.state_dict().items() if value.is_floating_point()}
    weights = out / "backbone.safetensors"
    with files.written_atomically(weights) as part:
        write_weights(state, part, TRY_INSTEAD)
    facts = {
        "name": settings.timm_name,
        "arguments": settings.timm_args,
        "num_features": int(backbone.num_features),
        "num_parameters": sum(parameter.numel() for parameter in backbone.parameters()),
        "image_size": INPUT_SIZE_PX,
        "mean": list(MEAN),
        "std": list(STD),
        "data": f"{num_images} pictures of the source world (ssl_aug/world/source_world.py)",
        "settings": asdict(settings),
        "losses": {task: round(value, 4) for task, value in losses.items()},
        "held_out_accuracy": accuracy,
        "seconds": round(seconds, 1),
        "sha256": file_hash(weights),
    }
    files.write_json(out / "backbone.json", facts)
    return facts
