"""Solvers against distributions whose noise predictor is known in closed form."""

import json

import pytest
import torch
from torch import Tensor

from generators.losses import (
    add_noise,
    noise_prediction_loss,
    training_loss,
    velocity,
    velocity_prediction_loss,
    velocity_weight,
)
from generators.sampling import alphas_cumprod, check_steps, guided, make_solver, sample
from ssl_aug.pretrain.diffusion import SCHEDULE as EMBEDDED_SCHEDULE
from ssl_aug.settings import EMBEDDED

SCHEDULE = {"num_train_timesteps": 1000, "beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear"}


def gaussian_eps(mean: float, std: float):
    """The exact noise predictor of N(mean, std^2): E[eps | z_t]."""
    bars = alphas_cumprod(SCHEDULE)

    def eps_theta(latents: Tensor, timestep: Tensor) -> Tensor:
        # dpmpp's Karras levels lie between the training timesteps
        low = timestep.float().floor().long()
        bar = torch.lerp(bars[low], bars[(low + 1).clamp(max=999)], timestep.float() - low)
        variance = bar * std**2 + 1 - bar
        return (1 - bar).sqrt() * (latents - bar.sqrt() * mean) / variance

    return eps_theta


@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 200), ("dpmpp", 25)])
def test_an_exact_denoiser_gives_the_data_distribution(sampler: str, steps: int) -> None:
    noise = torch.randn(20000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(gaussian_eps(2.0, 0.5), noise, sampler, steps, SCHEDULE)
    # clip_sample, a default of diffusers, would end near -0.6
    assert drawn.mean().item() == pytest.approx(2.0, abs=0.1)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.06)


def test_ddim_with_a_single_point_keeps_its_noise_down_to_the_last_level() -> None:
    bars, noise = alphas_cumprod(SCHEDULE), torch.randn(16, 1, 2, 2)
    drawn = sample(gaussian_eps(1.5, 0.0), noise, "ddim", 200, SCHEDULE)
    eps = (noise - bars[996].sqrt() * 1.5) / (1 - bars[996]).sqrt()  # constant along the path
    assert torch.allclose(drawn, bars[0].sqrt() * 1.5 + (1 - bars[0]).sqrt() * eps, atol=1e-4)


def test_ddim_uses_the_published_timesteps() -> None:
    solver = make_solver("ddim", SCHEDULE)
    solver.set_timesteps(200)
    assert solver.timesteps.tolist() == [5 * i + 1 for i in reversed(range(200))]
    assert solver.final_alpha_cumprod == solver.alphas_cumprod[0]


def test_schedule_end_points() -> None:
    bars = alphas_cumprod(SCHEDULE)
    assert bars[0].item() == pytest.approx(0.9985, abs=1e-6)
    assert bars[-1].sqrt().item() == pytest.approx(0.0119, abs=1e-4)


def test_guidance_one_is_the_conditional_prediction() -> None:
    conditional, unconditional = torch.randn(2, 4), torch.randn(2, 4)
    assert torch.allclose(guided(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guided(conditional, unconditional, 0.0), unconditional)


def test_add_noise_keeps_unit_variance_and_ends_in_noise() -> None:
    bars = alphas_cumprod(SCHEDULE)
    z, eps = torch.ones(2, 1, 1, 1), torch.full((2, 1, 1, 1), 2.0)
    noisy = add_noise(z, eps, torch.tensor([0, 999]), bars).flatten()
    assert noisy[0].item() == pytest.approx(bars[0].sqrt().item() + 2 * (1 - bars[0]).sqrt().item())
    assert noisy[1].item() == pytest.approx(2.0, abs=0.02)


def test_the_loss_is_zero_for_the_true_noise_and_equals_a_slow_sum() -> None:
    bars = alphas_cumprod(SCHEDULE)
    z, eps, t, c = torch.randn(3, 2, 2, 2), torch.randn(3, 2, 2, 2), torch.tensor([1, 500, 900]), torch.zeros(3, 1, 4)
    assert noise_prediction_loss(lambda *_: eps, z, c, eps, t, bars) == 0
    guess = torch.randn(3, 2, 2, 2)
    slow = sum((a - b) ** 2 for a, b in zip(guess.flatten().tolist(), eps.flatten().tolist(), strict=True)) / 24
    assert noise_prediction_loss(lambda *_: guess, z, c, eps, t, bars).item() == pytest.approx(slow, rel=1e-5)


def test_an_unknown_sampler_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="choose ddim or dpmpp"):
        make_solver("euler", SCHEDULE)


def test_velocity_weight_makes_the_loss_an_error_of_the_image_with_bounded_weight() -> None:
    bars = torch.tensor([0.99, 5 / 6, 0.6, 0.5, 0.01])  # signal-to-noise ratios 99, 5, 1.5, 1, about 0
    assert (velocity_weight(torch.arange(5), bars) * (1 + bars / (1 - bars))).tolist() == pytest.approx(
        [5.0, 5.0, 1.5, 1.0, 1.0], rel=1e-5
    )
    z, eps, t, c = torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2), torch.arange(5), torch.zeros(5, 1, 4)
    guess = torch.randn(5, 1, 2, 2)
    z_t, bar = add_noise(z, eps, t, bars), bars.view(-1, 1, 1, 1)
    implied = bar.sqrt() * z_t - (1 - bar).sqrt() * guess  # the image that a predicted v stands for
    slow = sum(w * (a - b).square().mean() for w, a, b in zip((5, 5, 1.5, 1, 1), z, implied, strict=True)) / 5
    found = velocity_prediction_loss(lambda *_: guess, z, c, eps, t, bars)
    assert found.item() == pytest.approx(slow.item(), rel=1e-4)


def test_the_true_velocity_gives_back_image_and_noise_and_no_loss() -> None:
    bars = alphas_cumprod(SCHEDULE)
    z, eps, t, c = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2), torch.tensor([0, 400, 999]), torch.zeros(3, 1, 4)
    v, z_t, bar = velocity(z, eps, t, bars), add_noise(z, eps, t, bars), bars[t].view(-1, 1, 1, 1)
    assert torch.allclose(bar.sqrt() * z_t - (1 - bar).sqrt() * v, z, atol=1e-5)
    assert torch.allclose((1 - bar).sqrt() * z_t + bar.sqrt() * v, eps, atol=1e-5)
    assert velocity_prediction_loss(lambda *_: v, z, c, eps, t, bars) == 0


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp"])
def test_a_network_that_predicts_v_draws_what_the_same_network_of_noise_draws(sampler: str) -> None:
    bars, predict_noise = alphas_cumprod(SCHEDULE), gaussian_eps(2.0, 0.5)

    def predict_velocity(latents: Tensor, timestep: Tensor) -> Tensor:
        low = timestep.float().floor().long()
        bar = torch.lerp(bars[low], bars[(low + 1).clamp(max=999)], timestep.float() - low)
        return (predict_noise(latents, timestep) - (1 - bar).sqrt() * latents) / bar.sqrt()

    noise = torch.randn(64, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    schedule = {**SCHEDULE, "prediction_type": "v_prediction"}
    of_noise, of_velocity = (
        sample(predict_noise, noise, sampler, 50, SCHEDULE),
        sample(predict_velocity, noise, sampler, 50, schedule),
    )
    assert torch.allclose(of_noise, of_velocity, atol=0.02)


def test_the_schedule_names_the_loss() -> None:
    assert training_loss(SCHEDULE) is noise_prediction_loss
    assert training_loss({**SCHEDULE, "prediction_type": "epsilon"}) is noise_prediction_loss
    assert training_loss(EMBEDDED_SCHEDULE) is velocity_prediction_loss
    with pytest.raises(ValueError, match="prediction_type='sample'"):
        training_loss({**SCHEDULE, "prediction_type": "sample"})


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp"])
def test_strength_says_how_far_a_drawing_leaves_what_it_starts_from(sampler: str) -> None:
    start = torch.full((2000, 1, 1, 1), -1.0)  # far from the distribution's mean of 2
    noise = torch.randn(2000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    drawn = [
        sample(gaussian_eps(2.0, 0.5), noise, sampler, 50, SCHEDULE, start, strength).mean().item()
        for strength in (0.02, 0.3, 0.6, 1.0)
    ]
    assert drawn == sorted(drawn)
    assert drawn[0] == pytest.approx(-1.0, abs=0.2)
    assert torch.equal(
        sample(gaussian_eps(2.0, 0.5), noise, sampler, 50, SCHEDULE, start, 1.0),
        sample(gaussian_eps(2.0, 0.5), noise, sampler, 50, SCHEDULE),
    )


def test_the_embedded_schedule_is_the_beginning_of_the_published_one() -> None:
    short = alphas_cumprod(EMBEDDED_SCHEDULE)
    assert len(short) == 800
    assert torch.allclose(short, alphas_cumprod(SCHEDULE)[:800], atol=1e-6)
    noise = torch.randn(2000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(gaussian_eps(2.0, 0.5), noise, "ddim", 50, {**EMBEDDED_SCHEDULE, "prediction_type": "epsilon"})
    assert drawn.mean().item() == pytest.approx(2.0, abs=0.2)  # it starts with a fifteenth of the signal left out


OF_EMBEDDED = json.loads((EMBEDDED / "model.json").read_text())["schedule"]


@pytest.mark.parametrize(
    ("schedule", "steps", "is_allowed"),
    [
        *((SCHEDULE, steps, True) for steps in (125, 200, 500)),
        *((SCHEDULE, steps, False) for steps in (-1, 0, 160, 1000)),
        *((OF_EMBEDDED, steps, True) for steps in (160, 200, 400)),
        *((OF_EMBEDDED, steps, False) for steps in (125, 500, 800)),
    ],
)
def test_ddim_takes_what_divides_the_models_own_levels(schedule: dict, steps: int, is_allowed: bool) -> None:
    levels = schedule["num_train_timesteps"]
    noise = torch.randn(1, 1, 1, 1)
    if is_allowed:
        check_steps("ddim", steps, schedule)
        timesteps: list[int] = []

        def noted(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            timesteps.append(int(timestep))
            return latents

        sample(noted, noise, "ddim", steps, schedule)
        assert timesteps == [levels // steps * i + 1 for i in reversed(range(steps))]
        return
    for refuses in (
        lambda: check_steps("ddim", steps, schedule),
        lambda: sample(lambda latents, _: latents, noise, "ddim", steps, schedule),
    ):
        with pytest.raises(ValueError, match=rf"steps={steps}: sampler=ddim .* divisors of this model's {levels} "):
            refuses()


def test_what_the_refusal_names_is_allowed() -> None:
    for schedule in (SCHEDULE, OF_EMBEDDED, {**SCHEDULE, "num_train_timesteps": 6}):
        with pytest.raises(ValueError, match="sampler=ddim takes") as error:
            check_steps("ddim", 7, schedule)
        named = str(error.value).partition("(")[2].partition(")")[0].split(", ")
        assert len(named) > 1
        for steps in named:
            check_steps("ddim", int(steps), schedule)
    check_steps("dpmpp", 7, SCHEDULE)


@pytest.mark.parametrize("schedule", [SCHEDULE, OF_EMBEDDED], ids=["published", "embedded"])
def test_dpmpp_takes_any_number_up_to_its_limit(schedule: dict) -> None:
    noise = torch.randn(1, 1, 1, 1)
    for steps in (1, 7, 160, 500):
        assert sample(lambda latents, _: latents, noise, "dpmpp", steps, schedule).isfinite().all()
    for steps in (0, 501):
        with pytest.raises(ValueError, match=f"steps={steps}: give sampler=dpmpp 1 to 500"):
            check_steps("dpmpp", steps, schedule)
