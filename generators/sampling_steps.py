"""How many steps a sampler takes with a model. No torch here."""

from __future__ import annotations

from typing import Any

MOST_DPMPP_STEPS = 500  # its steps lie so close by then that more would only repeat timesteps


def check_steps(sampler: str, steps: int, schedule: dict[str, Any]) -> None:
    """Says before any work whether a sampler can take that many steps with a model of this schedule.

    Raises:
        ValueError: DDIM steps that do not divide the model's noise levels, where diffusers would start below the last
            level without a word, or more than half of them, where it starts above the last; too many of DPM-Solver++.
    """
    levels = int(schedule["num_train_timesteps"])
    if sampler == "ddim" and steps not in ddim_steps(levels):
        allowed = [count for count in ddim_steps(levels) if count >= 10] or ddim_steps(levels)
        raise ValueError(
            f"steps={steps}: sampler=ddim takes divisors of this model's {levels} noise levels, up to half of them "
            f"({', '.join(map(str, allowed))}); sampler=dpmpp takes any number from 1 to {MOST_DPMPP_STEPS}"
        )
    if sampler == "dpmpp" and not 1 <= steps <= MOST_DPMPP_STEPS:
        raise ValueError(f"steps={steps}: give sampler=dpmpp 1 to {MOST_DPMPP_STEPS}")


def ddim_steps(levels: int) -> list[int]:
    """Every number of steps that DDIM takes with a model of so many noise levels."""
    return [count for count in range(1, levels // 2 + 1) if levels % count == 0]
