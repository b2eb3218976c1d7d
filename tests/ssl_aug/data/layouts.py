"""Every dataset's layout in a few tiny pictures, and what a refusal must say."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ssl_aug.data.build import load_dataset
from ssl_aug.settings import DataSettings


def picture(path, size=(6, 4), color=(200, 30, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def check_refused(data, *parts):
    """The one-line message of the refusal, which names all the parts."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load_dataset(data)
    return one_line(error, *parts)


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, message
    return message


def names(examples):
    return [(example.path.name, example.label) for example in examples]


def image_folder(root, class_names=("bee", "ant"), per_class=2):
    color = iter(range(256**3))  # no image twice
    for part in ("train", "test"):
        for name in class_names:
            for number in range(per_class):
                picture(root / part / name / f"{number}.png", color=tuple(next(color).to_bytes(3, "little")))
    return DataSettings(name="image_folder", root=str(root))


def annotations(rows):
    fields = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
    table = np.zeros(len(rows), dtype=[(field, object) for field in fields])
    table[:] = rows
    return {"annotations": table}


def stanford_cars(root, train=None, test=None):
    folder = root / "stanford_cars"
    train = train or [
        (2, 2, 4, 3, 2, "00002.jpg"),
        (1, 1, 6, 4, 1, "00001.jpg"),
        (-3, 0, 99, 99, 2, "00003.jpg"),
    ]
    test = test or [(1, 1, 6, 4, 1, "00001.jpg"), (1, 1, 6, 4, 2, "00002.jpg")]
    (folder / "devkit").mkdir(parents=True)
    savemat(
        folder / "devkit" / "cars_meta.mat",
        {"class_names": np.array(["AM Hummer", "Acura RL"], dtype=object)},
    )
    savemat(folder / "devkit" / "cars_train_annos.mat", annotations(train))
    savemat(folder / "cars_test_annos_withlabels.mat", annotations(test))
    for part, rows in (("cars_train", train), ("cars_test", test)):
        for row in rows:
            picture(folder / part / row[-1])
    return DataSettings(name="stanford_cars", root=str(root))


def flowers102(root):
    folder = root / "flowers-102"
    folder.mkdir(parents=True)
    savemat(folder / "imagelabels.mat", {"labels": [[102, 1, 1, 2, 2, 102, 77]]})
    savemat(folder / "setid.mat", {"trnid": [[4, 1, 2]], "valid": [[7, 3]], "tstid": [[5, 6]]})
    for number in range(1, 8):
        picture(folder / "jpg" / f"image_{number:05d}.jpg")
    return DataSettings(name="flowers102", root=str(root))


def celeba(root, attribute=None):
    folder = root / "celeba"
    rows = [
        ("000001.jpg", 0, 1, -1),
        ("000002.jpg", 2, -1, -1),
        ("000003.jpg", 1, 1, 1),
        ("000004.jpg", 0, -1, 1),
    ]
    for row in rows:
        picture(folder / "img_align_celeba" / row[0])
    (folder / "list_eval_partition.txt").write_text("".join(f"{row[0]} {row[1]}\n" for row in rows))
    table = "".join(f"{row[0]} {row[2]:2d} {row[3]:2d}\n" for row in rows)
    (folder / "list_attr_celeba.txt").write_text(f"{len(rows)}\nSmiling Blond_Hair \n{table}")
    return DataSettings(name="celeba", root=str(root), attribute=attribute)


def csv_list(root, text=None, name="list.csv", encoding="utf-8"):
    """Six pictures, and a list of them unless another one is given."""
    for number, image in enumerate(("a1", "a2", "b1", "b2", "t1", "u1")):
        picture(root / "photos" / f"{image}.png", color=(number, 30, 30))
    rows = ["path,label,split", "photos/b1.png,bee,", "photos/a1.png,ant,train", "photos/a2.png,ant,train",
            "photos/b2.png,bee,val", "photos/t1.png,bee,test", "photos/u1.png,,"]  # fmt: skip
    (root / name).write_bytes(("\n".join(rows) + "\n" if text is None else text).encode(encoding))
    return DataSettings(name="csv", root=str(root / name))


def hf(root, labels=(1, 0, 0, 1), names=("bee", "ant"), facts=None):
    """An export of this package, which is read without `datasets`; of a training image each label."""
    for split, of_split in (("labeled", labels), ("test", (0, 1)), ("unlabeled", (-1,))):
        rows = []
        for number, label in enumerate(of_split):
            picture(root / split / "images" / f"{number}.png", color=(number, 9, len(split)))
            rows.append(json.dumps({"file_name": f"images/{number}.png", "label": label, "synthetic": False}) + "\n")
        (root / split / "metadata.jsonl").write_text("".join(rows))
    (root / "classes.json").write_text(json.dumps(names))
    (root / "export.json").write_text(json.dumps(facts or {"to": "hf", "class_names": names}))
    return DataSettings(name="hf", root=str(root), labels_per_class=None)


LAYOUTS = {
    "image_folder": image_folder,
    "csv": csv_list,
    "hf": hf,
    "stanford_cars": stanford_cars,
    "flowers102": flowers102,
    "celeba": celeba,
}
