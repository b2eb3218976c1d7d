"""Ranges that settings of several methods share; a value outside is a ValueError that begins with `method.<name>=`."""

from __future__ import annotations

from collections.abc import Sequence


def refuse_unless_confidence(name: str, value: float) -> None:
    """Takes 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"method.{name}={value}: a confidence, give 0 to 1")


def refuse_unless_below_1(name: str, value: float) -> None:
    """Takes 0 to below 1."""
    if not 0 <= value < 1:
        raise ValueError(f"method.{name}={value}: give 0 to below 1")


def refuse_unless_above_0(name: str, value: float, instead: str = "") -> None:
    """Takes what is above 0.

    Args:
        instead: what to choose where 0 was meant, such as "method=erm".
    """
    if value <= 0:
        hint = f"; without it, {instead}" if instead else ""
        raise ValueError(f"method.{name}={value}: give above 0{hint}")


def refuse_negative(name: str, value: float) -> None:
    """Takes 0 or more."""
    if value < 0:
        raise ValueError(f"method.{name}={value}: give 0 or more")


def refuse_unknown(name: str, value: str, choices: Sequence[str]) -> None:
    """Takes one of the choices."""
    if value not in choices:
        raise ValueError(f"method.{name}={value!r}: choose one of {', '.join(choices)}")
