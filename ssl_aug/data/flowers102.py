"""Oxford Flowers 102 (Nilsback and Zisserman, 2008) in the layout of `torchvision.datasets.Flowers102`.

As in the few-label benchmark the validation split (10 images per class, like train) joins the unlabeled set.
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.layout import data_root, require_images
from ssl_aug.data.matlab import read_mat
from ssl_aug.settings import DataSettings

FOLDER = "flowers-102"
LAYOUT = (
    "flowers-102/ with imagelabels.mat, setid.mat and jpg/image_00001.jpg ... "
    "(torchvision.datasets.Flowers102(root, download=True) fetches them)"
)


def load(settings: DataSettings) -> Dataset:
    """The dataset: train, test, and the validation images as further unlabeled ones.

    Raises:
        FileNotFoundError: a folder, a .mat file or an image is missing.
        ValueError: a .mat file is damaged.
    """
    root = data_root(settings, LAYOUT)
    # the folder itself may be named as well as the one that holds it
    folder = root if (root / "setid.mat").is_file() and not (root / FOLDER).is_dir() else root / FOLDER
    labels = [int(label) - 1 for label in read_mat(folder / "imagelabels.mat", "labels", LAYOUT)]
    if labels and not 0 <= min(labels) <= max(labels) < len(CLASS_NAMES):
        raise ValueError(f"{folder / 'imagelabels.mat'}: labels must lie in 1 to {len(CLASS_NAMES)}; copy it again")
    train, valid, test = (_split(folder, part, labels) for part in ("trnid", "valid", "tstid"))
    extra = tuple(example.path for example in valid)
    return Dataset("flowers102", LabeledSet(train, CLASS_NAMES), LabeledSet(test, CLASS_NAMES), extra)


def _split(folder: Path, part: str, labels: list[int]) -> tuple[Example, ...]:
    setid = folder / "setid.mat"
    numbers = [int(number) for number in read_mat(setid, part, LAYOUT)]  # of the images, from 1
    if numbers and not 1 <= min(numbers) <= max(numbers) <= len(labels):
        raise ValueError(
            f"{setid}: {part} names image {max(numbers)}, imagelabels.mat has labels for 1 to {len(labels)}: "
            "take both files from one source"
        )
    paths = require_images(folder / "jpg", [f"image_{number:05d}.jpg" for number in numbers], setid)
    return tuple(Example(path, labels[number - 1]) for path, number in zip(paths, numbers, strict=True))


# label 1 of imagelabels.mat is the first
# fmt: off
CLASS_NAMES = (
    "pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea", "english marigold",
    "tiger lily", "moon orchid", "bird of paradise", "monkshood", "globe thistle", "snapdragon",
    "colt's foot", "king protea", "spear thistle", "yellow iris", "globe-flower", "purple coneflower",
    "peruvian lily", "balloon flower", "giant white arum lily", "fire lily", "pincushion flower",
    "fritillary", "red ginger", "grape hyacinth", "corn poppy", "prince of wales feathers",
    "stemless gentian", "artichoke", "sweet william", "carnation", "garden phlox", "love in the mist",
    "mexican aster", "alpine sea holly", "ruby-lipped cattleya", "cape flower", "great masterwort",
    "siam tulip", "lenten rose", "barbeton daisy", "daffodil", "sword lily", "poinsettia",
    "bolero deep blue", "wallflower", "marigold", "buttercup", "oxeye daisy", "common dandelion",
    "petunia", "wild pansy", "primula", "sunflower", "pelargonium", "bishop of llandaff", "gaura",
    "geranium", "orange dahlia", "pink-yellow dahlia?", "cautleya spicata", "japanese anemone",
    "black-eyed susan", "silverbush", "californian poppy", "osteospermum", "spring crocus",
    "bearded iris", "windflower", "tree poppy", "gazania", "azalea", "water lily", "rose", "thorn apple",
    "morning glory", "passion flower", "lotus", "toad lily", "anthurium", "frangipani", "clematis",
    "hibiscus", "columbine", "desert-rose", "tree mallow", "magnolia", "cyclamen", "watercress",
    "canna lily", "hippeastrum", "bee balm", "ball moss", "foxglove", "bougainvillea", "camellia",
    "mallow", "mexican petunia", "bromelia", "blanket flower", "trumpet creeper", "blackberry lily",
)
# fmt: on
