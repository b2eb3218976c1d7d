"""The commands' own defaults, for Python: `Settings()` alone are the paper's."""

from __future__ import annotations

from ssl_aug.command_line import compose
from ssl_aug.settings import Settings


def default_settings(generator: str = "embedded") -> Settings:
    """What the commands take with this generator where nothing else is said; change it by `dataclasses.replace`.

    Args:
        generator: embedded, ldm, noise, or one that a package registers.

    Raises:
        ValueError: there is no such generator.
    """
    return compose("generate", [f"generator={generator}"], Settings)
