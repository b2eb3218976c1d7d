"""What the embedded UNet is trained on."""

import torch

from ssl_aug.pretrain.diffusion import LARGEST_MASK_RATE, without_rectangles


def test_half_of_the_images_lose_a_rectangle_of_any_size_up_to_the_largest() -> None:
    erased = without_rectangles(torch.ones(400, 3, 32, 32), range(1000, 1400), torch.zeros(3)) == 0
    sides = erased[:, 0].flatten(1).sum(dim=1).sqrt()
    assert 0.4 < (sides > 0).float().mean() < 0.6
    assert float(sides.max()) == round(LARGEST_MASK_RATE * 32)
    assert len(set(sides.tolist())) > 15


def test_an_images_rectangle_depends_on_its_number_alone() -> None:
    images, fill = torch.rand(20, 3, 32, 32), torch.zeros(3)
    whole = without_rectangles(images, range(20), fill)
    parts = [without_rectangles(images[first : first + 4], range(first, first + 4), fill) for first in range(0, 20, 4)]
    assert torch.equal(whole, torch.cat(parts))
