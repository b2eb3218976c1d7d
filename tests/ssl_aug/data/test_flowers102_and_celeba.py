"""The readers of Flowers102 and CelebA: their own splits and names."""

from scipy.io import savemat

from ssl_aug.data.build import load_dataset
from ssl_aug.data.flowers102 import CLASS_NAMES as FLOWERS
from ssl_aug.settings import DataSettings
from tests.ssl_aug.data.layouts import celeba, check_refused, flowers102, names


def test_flowers_validation_images_join_the_unlabeled_set(tmp_path):
    dataset = load_dataset(flowers102(tmp_path))
    assert names(dataset.train.examples) == [
        ("image_00004.jpg", 1),
        ("image_00001.jpg", 101),
        ("image_00002.jpg", 0),
    ]
    assert names(dataset.test.examples) == [("image_00005.jpg", 1), ("image_00006.jpg", 101)]
    assert [path.name for path in dataset.extra_unlabeled] == ["image_00007.jpg", "image_00003.jpg"]


def test_flowers_are_named_as_in_torchvision():
    from torchvision.datasets import Flowers102

    assert list(FLOWERS) == Flowers102.classes


def test_flowers_of_two_sources_are_refused(tmp_path):
    data = flowers102(tmp_path)
    folder = tmp_path / "flowers-102"
    savemat(folder / "setid.mat", {"trnid": [[8]], "valid": [[1]], "tstid": [[2]]})
    check_refused(data, folder / "setid.mat", "image 8", "1 to 7", "one source")
    savemat(folder / "imagelabels.mat", {"labels": [[1, 103]]})
    check_refused(data, folder / "imagelabels.mat", "1 to 102")


def test_faces_are_parted_as_the_list_says(tmp_path):
    dataset = load_dataset(celeba(tmp_path))
    assert dataset.class_names == ("not Smiling", "Smiling")
    assert names(dataset.train.examples) == [("000001.jpg", 1), ("000004.jpg", 0)]
    assert names(dataset.test.examples) == [("000002.jpg", 0)]
    assert [path.name for path in dataset.extra_unlabeled] == ["000003.jpg"]


def test_another_attribute_is_another_labeled_set(tmp_path):
    smiling = load_dataset(celeba(tmp_path / "data"))
    blond = load_dataset(DataSettings(name="celeba", root=str(tmp_path / "data"), attribute="Blond_Hair"))
    assert blond.class_names == ("not Blond Hair", "Blond Hair")
    assert blond.train.labels == (0, 1)
    assert blond.train.id != smiling.train.id


def test_an_attribute_that_does_not_exist_is_answered_with_those_that_do(tmp_path):
    check_refused(celeba(tmp_path, attribute="Blonde"), "data.attribute=Blonde", "choose one of Smiling, Blond_Hair")


def test_a_list_cut_short_is_named_with_its_line(tmp_path):
    data = celeba(tmp_path)
    attributes = tmp_path / "celeba" / "list_attr_celeba.txt"
    attributes.write_text(attributes.read_text()[:-4])
    check_refused(data, attributes, "line 6", "copy it again")
    attributes.write_text("".join(attributes.read_text().splitlines(keepends=True)[:-1]))
    check_refused(data, "lists 000004.jpg", "one source")
