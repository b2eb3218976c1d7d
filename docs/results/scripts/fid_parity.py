"""FID, KID and Inception Score of fixed random pictures by torch-fidelity's own command and by this package, with the
same random Inception weights.

    pip install '.[fid]' && python docs/results/scripts/fid_parity.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as theirs

from ssl_aug.evaluation import inception
from ssl_aug.evaluation.features import Extractor
from ssl_aug.evaluation.measures import frechet_distance, kernel_distance
from ssl_aug.evaluation.reading import squares_in_batches
from ssl_aug.evaluation.sums import Images, Sums

NUM_IMAGES, SIZE_PX = 256, 64


def write_pictures(folder: Path, seed: int, count: int = NUM_IMAGES) -> tuple[Path, ...]:
    """Smooth random pictures; those of another seed have other colors."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    paths = tuple(folder / f"{number:04d}.png" for number in range(count))
    for path in paths:
        coarse = rng.integers(0, 200 + 50 * seed, (6, 6, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC).save(path)
    return paths


def write_random_weights(path: Path) -> None:
    """Inception weights by which features stay as large as their inputs, in the published file's layout."""

    class Untrained(theirs.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            pass

    torch.manual_seed(0)
    empty = path.with_name("empty.pth")
    torch.save({}, empty)
    network: nn.Module = Untrained("random", ["2048"], feature_extractor_weights_path=str(empty))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    network.get_submodule("fc").weight.data *= 30  # else every picture has about the same logits
    torch.save(network.state_dict(), path)


def their_figures(folder: Path, weights: Path) -> dict[str, float]:
    """What the command prints."""
    words = ["--input1", str(folder / "drawn"), "--input2", str(folder / "real"), "--fid", "--isc", "--kid", "--json"]
    more = [
        "--kid-subset-size",
        str(NUM_IMAGES),
        "--kid-subsets",
        "1",
        "--feature-extractor-weights-path",
        str(weights),
    ]
    command = [sys.executable, "-m", "torch_fidelity.fidelity", *words, *more, "--silent", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout[done.stdout.index("{") :])
    return figures


def our_sums(paths: tuple[Path, ...], extractor: Extractor) -> Sums:
    """One pass over some pictures."""
    sums = Sums(Images(paths), extractor, None, None)
    for rows, squares in squares_in_batches(paths, [SIZE_PX]):
        sums.add(rows, squares, SIZE_PX)
    return sums


def main() -> None:
    """Prints both, and the difference."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn, real = write_pictures(folder / "drawn", 0), write_pictures(folder / "real", 1)
        weights = folder / "weights.pth"
        write_random_weights(weights)
        network = inception.load_inception(weights)

        @torch.no_grad()
        def embed(images: Tensor) -> tuple[Tensor, Tensor]:
            return inception.embed(network, images)

        extractor = Extractor(inception.WIDTH, embed, inception.NUM_LOGITS)
        of_drawn, of_real = our_sums(drawn, extractor), our_sums(real, extractor)
        assert of_drawn.scores is not None
        score, spread = of_drawn.scores.score()
        ours = {
            "frechet_inception_distance": frechet_distance(of_real.moments.moments(), of_drawn.moments.moments()),
            "inception_score_mean": score,
            "inception_score_std": spread,
            "kernel_inception_distance_mean": kernel_distance(of_real.kept, of_drawn.kept)[0],
        }
        published = their_figures(folder, weights)
    for key, value in ours.items():
        print(f"{key}: torch-fidelity {published[key]:.7f}, here {value:.7f}, apart {abs(value - published[key]):.1e}")


if __name__ == "__main__":
    main()
