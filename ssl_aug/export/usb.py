"""List files and settings for USB (semilearn): its `semi_aves` dataset, which reads any lists of this form.

`augmented/` and `real/` are data folders for its `data_dir`. Lines hold absolute paths, because releases of the library
disagree about what a relative one is relative to, and no blanks, at which it cuts a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np

from ssl_aug.data.copying import put
from ssl_aug.data.reading import read_rgb
from ssl_aug.export.content import PARTS, Content, Exported, Options, Placed

INNER = Path("semi_fgvc") / "semi_aves"
# the library's file names; two relatives of it read the unlabeled list under the second name
LISTS = {
    "labeled": ("l_train_val",),
    "unlabeled": ("u_train_in", "u_train_in_oracle"),
    "test": ("test",),
    "validation": ("val",),  # as Semi-Aves itself has it; the library does not read it
}


def write(content: Content, folder: Path, final: Path, options: Options, placed: Placed) -> str:
    """Writes images, lists and a settings file for each variant; returns the README's snippet.

    Raises:
        ValueError: the folder's own path holds a blank.
    """
    final = final.resolve()
    if any(character.isspace() for character in str(final)):
        raise ValueError(f"--out {final}: USB cuts its lines at blanks, and this path holds one: name a folder without")
    variants = {"real": ("real",), **({"augmented": ("real", "synthetic")} if content.synthetic else {})}
    count = content.counts()
    others = [(part, (part,)) for part in ("unlabeled", "test", "validation") if part in count]
    with ExitStack() as stack:
        lists: dict[str, list[TextIO]] = {part: [] for part in PARTS}
        for variant, labeled in variants.items():
            root = folder / variant / INNER
            root.mkdir(parents=True)
            for kind, parts in (("labeled", labeled), *others):
                for name in LISTS[kind]:
                    opened = stack.enter_context((root / f"{name}.txt").open("w", encoding="utf-8"))
                    for part in parts:
                        lists[part].append(opened)
        for picture in content.pictures(*PARTS):
            path, sha256 = put(picture.path, folder / "images" / picture.part / picture.stem, options.link)
            name = str(path.relative_to(folder))
            for file in lists[picture.part]:
                file.write(f"{final / name} {picture.label or 0}\n")
            placed(picture, name, sha256)
    for variant, labeled in variants.items():
        settings = _settings(final / variant, len(content.class_names), sum(count[part] for part in labeled))
        (folder / f"fixmatch_{variant}.yaml").write_text(settings, encoding="utf-8")
    first = "augmented" if content.synthetic else "real"
    return f"""\
# python train.py --c {final}/fixmatch_{first}.yaml
from semilearn import get_config, get_dataset

data_dir = {str(final / first)!r}
config = get_config({{"algorithm": "fixmatch", "dataset": "semi_aves", "data_dir": data_dir,
                     "num_classes": {len(content.class_names)}, "img_size": 224, "crop_ratio": 0.875}})
data = get_dataset(config, config.algorithm, config.dataset, config.num_labels, config.num_classes,
                   data_dir=config.data_dir, include_lb_to_ulb=False)
labeled, unlabeled, test = data["train_lb"], data["train_ulb"], data["eval"]
"""


def _settings(data_dir: Path, num_classes: int, num_labeled: int) -> str:
    """A settings file of the library; `epoch` divides `num_train_iter`, as its trainer needs."""
    return f"""\
# FixMatch on this export; net, size and schedule are a start, not a recommendation
algorithm: fixmatch
save_dir: ./saved_models
save_name: fixmatch_{data_dir.name}
resume: False
load_path: ./saved_models/fixmatch_{data_dir.name}/latest_model.pth
overwrite: True
use_tensorboard: True
epoch: 30
num_train_iter: 30000
num_eval_iter: 500
num_log_iter: 50
num_labels: {num_labeled}
batch_size: {min(32, num_labeled)}
eval_batch_size: 64
hard_label: True
T: 0.5
p_cutoff: 0.95
ulb_loss_ratio: 1.0
uratio: 1
ema_m: 0.0
img_size: 224
crop_ratio: 0.875
optim: SGD
lr: 0.03
momentum: 0.9
weight_decay: 0.0005
layer_decay: 1.0
amp: False
clip: 0.0
use_cat: True
net: resnet50
net_from_name: False
data_dir: {data_dir}
dataset: semi_aves
train_sampler: RandomSampler
num_classes: {num_classes}
num_workers: 4
seed: 0
world_size: 1
rank: 0
multiprocessing_distributed: False
dist_url: tcp://127.0.0.1:10009
dist_backend: nccl
gpu: 0
"""


def read(folder: Path) -> Iterator[Exported]:
    """The images of the lists, part by part, by the library's rule: two columns between blanks."""
    variant = "augmented" if (folder / "augmented").is_dir() else "real"
    for names in LISTS.values():
        path = folder / variant / INNER / f"{names[0]}.txt"
        if not path.is_file():  # there are no validation images
            continue
        with path.open(encoding="utf-8") as file:
            for line in file:
                name, label = line.split()
                own = Path(name).parent.name
                yield Exported(own, None if own == "unlabeled" else int(label), np.asarray(read_rgb(Path(name))))
