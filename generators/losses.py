"""What tuning minimises."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# eps_theta(z_t, t, c): (b, c, h, w) noisy latents, (b,) timesteps, (b, n, d) condition tokens -> (b, c, h, w)
NoisePredictor = Callable[[Tensor, Tensor, Tensor], Tensor]


def add_noise(z: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """z_t = sqrt(alpha_bar_t) z + sqrt(1 - alpha_bar_t) eps (DDPM, arXiv:2006.11239, Eq. 4).

    Args:
        z, eps: (b, c, h, w) latents and standard normal noise.
        t: (b,) timesteps in 0..T-1.
        alphas_cumprod: (T,) alpha_bar.
    """
    alpha_bar = alphas_cumprod.to(z)[t].view(-1, 1, 1, 1)
    return alpha_bar.sqrt() * z + (1 - alpha_bar).sqrt() * eps


def noise_prediction_loss(
    eps_theta: NoisePredictor,
    z: Tensor,
    c: Tensor,
    eps: Tensor,
    t: Tensor,
    alphas_cumprod: Tensor,
    weight: Tensor | None = None,
) -> Tensor:
    """E w || eps - eps_theta(z_t, t, c) ||^2 as a mean over batch and latent values (paper, Eq. 10: w = 1).

    Args:
        z: (b, c, h, w) latents of the target images.
        c: (b, n, d) condition tokens, phi(x) of the same images.
        eps: (b, c, h, w) standard normal noise.
        t: (b,) timesteps, uniform over the schedule.
        weight: (b,) w of each example; None: 1.
    """
    predicted = eps_theta(add_noise(z, eps, t, alphas_cumprod), t, c)
    error = (predicted.float() - eps.float()).square().flatten(1).mean(dim=1)
    return (error if weight is None else weight * error).mean()


def min_snr_weight(t: Tensor, alphas_cumprod: Tensor, gamma: float) -> Tensor:
    """min(SNR, gamma) / SNR, (b,), the weight of a noise prediction (Min-SNR-gamma, arXiv:2303.09556, section 3.4).

    SNR = alpha_bar_t / (1 - alpha_bar_t). Timesteps with little noise say little about an image and would take most
    of the training's effort.

    Args:
        t: (b,) timesteps in 0..T-1.
        alphas_cumprod: (T,) alpha_bar.
        gamma: where the weight begins to fall; the source's choice is 5.
    """
    alpha_bar = alphas_cumprod[t]
    snr = alpha_bar / (1 - alpha_bar)
    return (gamma / snr).clamp(max=1.0)
