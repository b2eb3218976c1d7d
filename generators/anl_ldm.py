"""The generator (paper, figure 2): mask the reference, embed it, draw noise from seeds, sample, decode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from generators.borrowing import Differences, borrow, differences, lender
from generators.ldm import LatentDiffusion
from generators.masks import Box, erase, mask_box
from generators.sampling import guided, sample
from generators.seeded_noise import seeded_noise
from generators.settings import SamplingSettings
from generators.text_encoder import class_prompt_of

# Images up to which both guided passes are one batch of the network: 1.43, 1.22 and 1.16 times as fast as apart with 1,
# 4 and 8 images, 1.02 with 32 (embedded network, float32, a CPU; docs/results/speed.md). A chunk's size decides, and is
# the same whenever it is drawn, so that a set that was stopped goes on in the same bits.
BOTH_AT_ONCE = 8


@dataclass(frozen=True)
class Draw:
    """What an image's seed decides beside its noise; None where the settings make no use of it."""

    mask_box: Box | None = None  # the rectangle that is erased from the reference; without area where mask_rate is 0
    lender: int | None = None  # row of the labeled image that all but the class is borrowed from


class ANLLatentDiffusion:
    """Draws images with a latent diffusion model whose SpatialTransformers were tuned to the target images."""

    def __init__(self, model: LatentDiffusion, settings: SamplingSettings, image_size: int):
        if not model.takes_images and settings.condition != "class":
            raise ValueError(
                f"condition={settings.condition}: this model takes the tokens of texts alone, use condition=class"
            )
        self.model = model.eval()
        self.settings = settings
        self.image_size = image_size
        self.latent_shape = model.shape_at(image_size)
        self._network: Callable[..., Any] = model.unet
        self._layout = torch.preserve_format
        self._differences: Differences | None = None

    def remember(self, labeled: Tensor, class_names: Sequence[str], unlabeled: Tensor | None = None) -> float:
        """Takes note of the labeled images, which condition=borrowed needs before it draws.

        Args:
            labeled: (n, d) CLIP embeddings of all labeled images.
            class_names: the name of each one's class.
            unlabeled: (m, d) of images without label, for class means of more than the labeled ones.

        Returns:
            The share of labeled images whose class CLIP tells (`generators.borrowing.Differences.told_apart`).
        """
        self._differences = differences(labeled, class_names, unlabeled)
        return self._differences.told_apart

    def draw_of(self, seed: int) -> Draw:
        """The rectangle and the lender of the image of this seed.

        Raises:
            ValueError: condition=borrowed before `remember`.
        """
        settings = self.settings
        if self.model.is_unconditional or not settings.sees_image:
            return Draw()
        box = mask_box(seed, settings.mask_rate, self.image_size)
        if settings.condition != "borrowed":
            return Draw(box)
        return Draw(box, lender(seed, len(self._known().of_images)))

    def _known(self) -> Differences:
        if self._differences is None:
            raise ValueError(
                "condition=borrowed needs the labeled images first: call remember(embeddings, class_names)"
            )
        return self._differences

    def compiled(self, backend: str = "inductor") -> ANLLatentDiffusion:
        """The same generator, whose network PyTorch compiles at the first evaluation.

        A chunk of another size is compiled anew: draw the same number of rows each time.

        Args:
            backend: of torch.compile.
        """
        other = copy.copy(self)
        other._network = torch.compile(self.model.unet, dynamic=False, backend=backend)
        other._layout = torch.channels_last  # the same in every step, so that it is compiled once
        return other

    def in_steps(self, steps: int) -> ANLLatentDiffusion:
        """The same generator, which takes another number of steps."""
        other = copy.copy(self)
        other.settings = replace(self.settings, steps=steps)
        return other

    @torch.no_grad()
    def __call__(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """One image per row of `reference`; see `generators.base.Generator`."""
        settings, model = self.settings, self.model
        tokens = self._tokens(reference, class_names, seeds)
        null_tokens = self._null_tokens(len(seeds)).contiguous() if settings.guidance != 1 else None
        both = None
        if tokens is not None and null_tokens is not None and len(seeds) <= BOTH_AT_ONCE:
            both = torch.cat([tokens, null_tokens])

        def guided_prediction(latents: Tensor, timestep: Tensor) -> Tensor:
            latents = latents.to(memory_format=self._layout)
            if both is not None:
                twice = torch.cat([latents, latents])
                conditional, unconditional = model.predict(twice, timestep, both, self._network).chunk(2)
                return guided(conditional, unconditional, settings.guidance)
            conditional = model.predict(latents, timestep, tokens, self._network)
            if null_tokens is None:
                return conditional
            return guided(conditional, model.predict(latents, timestep, null_tokens, self._network), settings.guidance)

        noise = seeded_noise(seeds, self.latent_shape).to(reference.device)
        start = model.encode(reference) if settings.strength < 1 else None
        latents = sample(
            guided_prediction, noise, settings.sampler, settings.steps, model.facts.schedule, start, settings.strength
        )
        return model.decode(latents)

    def _tokens(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor | None:
        """(b, n, d) conditions: a prompt's embedding, or the states of the class's prompt, the reference's tokens, or
        the one behind the other.

        None for a model that was tuned without a condition.
        """
        settings = self.settings
        if self.model.is_unconditional:
            return None
        if settings.condition == "none":
            return self.model.null_tokens(len(seeds), self.model.clip.num_tokens)
        if settings.prompt is not None:
            return self.model.clip.embed_texts([settings.prompt] * len(seeds))
        if not settings.names_class:
            return self._image_tokens(reference, class_names, seeds)
        prompts = [class_prompt_of(settings.class_prompt or "", name) for name in class_names]
        states = self.model.prompt_states(prompts)
        if not settings.sees_image:
            return states
        return torch.cat([states, self._image_tokens(reference, class_names, seeds)], dim=1)

    def _image_tokens(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """(b, n, d) of the reference without its rectangle; borrowed: what it tells beside the class is another's."""
        settings, clip = self.settings, self.model.clip
        draws = [self.draw_of(seed) for seed in seeds]
        boxes = [draw.mask_box for draw in draws if draw.mask_box is not None]
        tokens = clip.embed_images(erase(reference, boxes, clip.fill(settings.mask_fill)))
        if settings.condition != "borrowed":
            return tokens
        lenders = [draw.lender for draw in draws if draw.lender is not None]
        return borrow(tokens, clip.embed_images(reference), class_names, lenders, self._known())

    def _null_tokens(self, num_images: int) -> Tensor:
        """(b, n, d) as `_tokens`, for guidance: the null token, the empty prompt's states, or both."""
        settings, clip = self.settings, self.model.clip
        num_tokens = clip.num_tokens if settings.prompt is None else 1
        return self.model.null_tokens(
            num_images, num_tokens if settings.condition != "class" else 0, settings.names_class
        )
