"""What this machine is and what it can do at most."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from ssl_aug.runtime import Placement, has_bfloat16_units, name_of
from ssl_aug.versions import versions

SIDE = 2048  # of the square matrices whose product is the measure


def facts(place: Placement) -> dict[str, object]:
    """What the figures depend on, as JSON takes it."""
    return {
        "device": name_of(place.device) if place.device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "bfloat16_units": has_bfloat16_units(place.device.type),
        "system": platform.platform(terse=True),
        "versions": versions(),
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def matmul_peak(place: Placement, dtype: torch.dtype, wait: Callable[[], None], times: int = 12) -> float:
    """Floating-point operations a second of a product of two matrices of 2,048 x 2,048: the best of a few."""
    one, other = (torch.randn(SIDE, SIDE, device=place.device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(times + 1):
        wait()
        start = time.perf_counter()
        one @ other
        wait()
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best


def operations_of(call: Callable[[], object]) -> float:
    """Floating-point operations of a call: of its products, convolutions and attentions, as torch counts them."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return float(counter.get_total_flops())
