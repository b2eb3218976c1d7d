"""Synthetic images from a tuned latent diffusion model for learning with few labels."""

__version__ = "0.1.0"
