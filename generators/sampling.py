"""From noise to latents, by diffusers' solvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

# (b, c, h, w) noisy latents and one timestep -> (b, c, h, w) predicted noise, or v
Denoiser = Callable[[Tensor, Tensor], Tensor]
MOST_DPMPP_STEPS = 500  # its steps lie so close by then that more would only repeat timesteps


def sample(
    predict: Denoiser,
    noise: Tensor,
    sampler: str,
    steps: int,
    schedule: dict[str, Any],
    start: Tensor | None = None,
    strength: float = 1.0,
) -> Tensor:
    """Solves the diffusion's ODE from noise to latents.

    Args:
        predict: the network, its condition already bound.
        noise: (b, c, h, w) standard normal.
        sampler: ddim (Song et al., arXiv:2010.02502, Eq. 12 with eta 0) or dpmpp (DPM-Solver++ 2M, Lu et al.,
            arXiv:2211.01095, on the noise levels of Karras et al.).
        steps: evaluations of the network.
        schedule: num_train_timesteps, beta_start, beta_end and beta_schedule of the training, and prediction_type
            where the network predicts v (`v_prediction`) rather than the noise.
        start: (b, c, h, w) latents to start from where `strength` is below 1.
        strength: share of the steps that are taken, at least one; below 1 the first of them sees `start` with that
            level's noise (SDEdit, arXiv:2108.01073, Algorithm 1).

    Raises:
        ValueError: steps that this sampler cannot take (`check_steps`).
    """
    check_steps(sampler, steps, schedule)
    solver = make_solver(sampler, schedule)
    solver.set_timesteps(steps)
    timesteps, latents = solver.timesteps, noise * solver.init_noise_sigma
    if strength < 1:
        assert start is not None, "a strength below 1 needs latents to start from"
        first = steps - max(1, round(strength * steps))
        timesteps = timesteps[first:]
        if isinstance(solver, DPMSolverMultistepScheduler):  # it counts its steps itself
            solver.set_begin_index(first)
        latents = solver.add_noise(start, noise, timesteps[:1].expand(len(start)))
    for timestep in timesteps:
        predicted = predict(solver.scale_model_input(latents, timestep), timestep)
        latents = solver.step(predicted.float(), timestep, latents).prev_sample
    return latents


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


def make_solver(sampler: str, schedule: dict[str, Any]) -> DDIMScheduler | DPMSolverMultistepScheduler:
    """A new solver: they remember their last steps, so each batch has its own.

    diffusers' defaults clip latents to [-1, 1] and end on another noise level than CompVis' DDIM: every such
    option is named here.
    """
    if sampler == "ddim":
        return DDIMScheduler(
            **schedule, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading"
        )
    if sampler == "dpmpp":
        return DPMSolverMultistepScheduler(
            **schedule, algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=True,
            timestep_spacing="trailing",
        )  # fmt: skip
    raise ValueError(f"sampler={sampler!r}: choose ddim or dpmpp")


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """eps = eps_u + w (eps_c - eps_u) (Ho and Salimans, arXiv:2207.12598); w = 1 is the conditional prediction.

    The same for predictions of v: at one noise level they are the noise, scaled, plus what both share.
    """
    return unconditional + scale * (conditional - unconditional)


def alphas_cumprod(schedule: dict[str, Any]) -> Tensor:
    """(T,) alpha_bar of a training schedule."""
    bars: Tensor = make_solver("ddim", schedule).alphas_cumprod
    return bars.float()
