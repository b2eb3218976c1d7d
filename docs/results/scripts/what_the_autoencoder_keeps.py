"""PSNR of toycars' test images, and how many of them the judge names rightly, after the autoencoder.

python docs/results/scripts/what_the_autoencoder_keeps.py [FOLDER]     # of other weights than the embedded ones
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from generators import model_folder
from ssl_aug.data.build import load_dataset
from ssl_aug.evaluation.judge import JudgeSettings, read_images, trained_judge
from ssl_aug.pretrain.autoencoder import psnr
from ssl_aug.runtime import placement
from ssl_aug.settings import EMBEDDED, DataSettings
from ssl_aug.tuning.encodings import images_to_tensor


def main() -> None:
    """Prints one line."""
    place, dataset = placement("cpu", "bf16"), load_dataset(DataSettings())
    model = model_folder.load(Path(sys.argv[1]) if len(sys.argv) > 1 else EMBEDDED)
    images = images_to_tensor(read_images(dataset.test.paths))
    with torch.no_grad():
        decoded = torch.cat([model.decode(model.encode(part)) for part in images.split(120)])
    pixels = ((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    named = trained_judge(dataset, EMBEDDED, JudgeSettings(), place).logits(pixels).argmax(1).numpy()
    print(f"{psnr(decoded, images):.2f} dB, {100 * np.mean(named == np.array(dataset.test.labels)):.1f} %")


if __name__ == "__main__":
    main()
