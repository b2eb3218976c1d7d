"""The memory that measuring takes, by the number of images: the same measures of 1,000 and of 100,000 of them.

python docs/results/scripts/evaluate_memory.py
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssl_aug.evaluation.features import Extractor
from ssl_aug.evaluation.reading import squares_in_batches
from ssl_aug.evaluation.sums import Images, Real, Sums, chosen_rows

COUNTS = (1_000, 10_000, 100_000)
SIZE_PX, PER_FOLDER, OF_EACH = 16, 1_000, 10
CHEAP = torch.randn(3 * SIZE_PX**2, 64, generator=torch.Generator().manual_seed(0))


def write_pictures(folder: Path, count: int) -> None:
    """Random pictures."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = path_of(folder, number)
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (SIZE_PX, SIZE_PX, 3)).astype(np.uint8)).save(path)


def path_of(folder: Path, number: int) -> Path:
    return folder / str(number // PER_FOLDER) / f"{number}.png"


def embed(images: Tensor) -> tuple[Tensor, Tensor]:
    """Features that cost next to nothing, and logits."""
    features = images.flatten(1).float() / 255 @ CHEAP
    return features, features[:, :10]


def measured(folder: str, count: int) -> tuple[float, float, float]:
    """MB before and at the peak, and seconds, of measuring so many pictures against the first 1,000."""
    extractor = Extractor(CHEAP.shape[1], embed, num_logits=10)
    before = peak_megabytes()
    start = time.perf_counter()
    real = summed(folder, COUNTS[0], extractor)
    drawn = summed(folder, count, extractor)
    drawn.row(Real(real.moments.moments(), real.kept))
    return before, peak_megabytes(), time.perf_counter() - start


def summed(folder: str, count: int, extractor: Extractor) -> Sums:
    """One pass, as the command makes it."""
    paths = tuple(path_of(Path(folder), number) for number in range(count))
    sums = Sums(Images(paths, groups=torch.arange(count) // OF_EACH), extractor, None, None)
    for rows, squares in squares_in_batches(paths, [SIZE_PX]):
        sums.add(rows, squares, SIZE_PX)
    return sums


def peak_megabytes() -> float:
    """Of this process, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """A process of its own for each number, for a peak never falls."""
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), max(COUNTS))
        for count in COUNTS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                before, peak, seconds = pool.apply(measured, (folder, count))
            kept = len(chosen_rows(count))
            print(f"{count} images: {peak:.0f} MB at the peak, {before:.0f} before, {kept} compared, {seconds:.0f} s")


if __name__ == "__main__":
    main()
