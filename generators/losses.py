"""What tuning minimizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

# (z_t, t, c): (b, c, h, w) noisy latents, (b,) timesteps, (b, n, d) condition tokens -> (b, c, h, w) noise, or v
Predictor = Callable[[Tensor, Tensor, Tensor], Tensor]
SNR_CAP = 5.0  # arXiv:2303.09556's choice


def add_noise(z: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """z_t = sqrt(alpha_bar_t) z + sqrt(1 - alpha_bar_t) eps (DDPM, arXiv:2006.11239, Eq. 4).

    Args:
        z, eps: (b, c, h, w) latents and standard normal noise.
        t: (b,) timesteps in 0..T-1.
        alphas_cumprod: (T,) alpha_bar.
    """
    alpha_bar = alphas_cumprod.to(z)[t].view(-1, 1, 1, 1)
    return alpha_bar.sqrt() * z + (1 - alpha_bar).sqrt() * eps


def velocity(z: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """v_t = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) z (Salimans and Ho, arXiv:2202.00512, section 4)."""
    alpha_bar = alphas_cumprod.to(z)[t].view(-1, 1, 1, 1)
    return alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * z


def noise_prediction_loss(
    eps_theta: Predictor, z: Tensor, c: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """E || eps - eps_theta(z_t, t, c) ||^2 as a mean over batch and latent values (paper, Eq. 10).

    Args:
        z: (b, c, h, w) latents of the target images.
        c: (b, n, d) condition tokens, phi(x) of the same images.
        eps: (b, c, h, w) standard normal noise.
        t: (b,) timesteps, uniform over the schedule.
        alphas_cumprod: (T,) alpha_bar.
    """
    predicted = eps_theta(add_noise(z, eps, t, alphas_cumprod), t, c)
    return (predicted.float() - eps.float()).square().mean()


def velocity_prediction_loss(
    v_theta: Predictor, z: Tensor, c: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """E w(t) || v_t - v_theta(z_t, t, c) ||^2, the same for a network that predicts v; arguments as in Eq. 10.

    w makes it the error of the image that the prediction implies, times the signal-to-noise ratio kept between 1 and
    `SNR_CAP` (`velocity_weight`).
    """
    predicted = v_theta(add_noise(z, eps, t, alphas_cumprod), t, c)
    error = (predicted.float() - velocity(z, eps, t, alphas_cumprod).float()).square().flatten(1).mean(dim=1)
    return (velocity_weight(t, alphas_cumprod) * error).mean()


def velocity_weight(t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """(b,) clamp(SNR, 1, SNR_CAP) / (SNR + 1), SNR = alpha_bar / (1 - alpha_bar).

    (SNR + 1) || v - v_theta ||^2 / (SNR + 1) = || z - z_theta ||^2. The lower bound lets a level of much noise, where
    the condition alone tells the image, count as much as one of equal parts (arXiv:2202.00512, section 4); the upper
    one keeps levels of little noise, which say little about an image, from taking most of the training's effort
    (arXiv:2303.09556, section 3.4).

    Args:
        t: (b,) timesteps in 0..T-1.
        alphas_cumprod: (T,) alpha_bar.
    """
    alpha_bar = alphas_cumprod[t]
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(1.0, SNR_CAP) / (snr + 1)


def training_loss(schedule: dict[str, Any]) -> Callable[[Predictor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The loss of a model, by what its network predicts: `prediction_type` of the schedule, epsilon where unnamed.

    Raises:
        ValueError: a prediction that no loss is known for.
    """
    losses = {"epsilon": noise_prediction_loss, "v_prediction": velocity_prediction_loss}
    name = schedule.get("prediction_type", "epsilon")
    if name not in losses:
        raise ValueError(f"prediction_type={name!r} of the model's schedule: known are {', '.join(losses)}")
    return losses[name]
