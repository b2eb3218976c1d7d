"""From noise to latents, by diffusers' solvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from generators.sampling_steps import check_steps

# (b, c, h, w) noisy latents and one timestep -> (b, c, h, w) predicted noise, or v
Denoiser = Callable[[Tensor, Tensor], Tensor]


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
