"""Versions of what numbers depend on, for records."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    packages = ("ssl_aug", "torch", "torchvision", "timm", "diffusers", "open_clip_torch", "numpy", "pillow")
    return {"python": platform.python_version()} | {package: _version(package) for package in packages}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "from source"
