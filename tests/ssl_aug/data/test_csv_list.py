"""Lists of images: what other programs save is read, and a wrong row is named by its number."""

import unicodedata

import pytest

from ssl_aug.data.build import load_dataset, load_split
from ssl_aug.settings import DataSettings
from tests.ssl_aug.data.layouts import check_refused, csv_list, names, picture


def test_a_list_says_which_image_is_of_which_class_and_part(tmp_path):
    dataset = load_dataset(csv_list(tmp_path))
    assert dataset.class_names == ("ant", "bee")
    assert names(dataset.train.examples) == [("b1.png", 1), ("a1.png", 0), ("a2.png", 0)]
    assert names(dataset.test.examples) == [("t1.png", 1)]
    assert dataset.validation is not None
    assert names(dataset.validation.examples) == [("b2.png", 1)]
    assert [path.name for path in dataset.extra_unlabeled] == ["u1.png"]
    _, split = load_split(DataSettings("csv", str(tmp_path / "list.csv"), None))
    assert (split.labeled, split.validation) == (dataset.train, dataset.validation)


def test_two_columns_are_enough_and_paths_may_be_absolute(tmp_path):
    dataset = load_dataset(csv_list(tmp_path, f"label,note,path\nant,x,{tmp_path}/photos/a1.png\nbee,,photos/b1.png\n"))
    assert names(dataset.train.examples) == [("a1.png", 0), ("b1.png", 1)]
    assert (len(dataset.test), dataset.validation) == (0, None)


@pytest.mark.parametrize(("old", "new"), [(",", ";"), (",", "\t"), ("\n", "\r\n"), ("path,", "\ufeffPath ,")])
def test_what_spreadsheets_save_is_the_same_list(old, new, tmp_path):
    plain = load_dataset(csv_list(tmp_path))
    text = (tmp_path / "list.csv").read_text()
    assert load_dataset(csv_list(tmp_path, text.replace(old, new))) == plain


def test_a_label_is_the_same_in_both_normalizations(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Citroën") for form in ("NFC", "NFD"))
    text = f"path,label\nphotos/a1.png,{composed}\nphotos/a2.png,{apart}\nphotos/b1.png,Audi\n"
    assert load_dataset(csv_list(tmp_path, text)).class_names == ("Audi", composed)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("photos/none.png,ant,", ("row 8", "none.png is not there", "1 of 7")),
        ("photos/u2.png,ant,dev", ("row 8", "split 'dev' is none of train, test, val and unlabeled")),
        ("photos/a1.png,bee,", ("row 8", "label 'bee' here and 'ant' in row 3")),
        ("photos/u2.png,Audi, TT,", ("row 8", "longer than the header, 4 cells of 3")),
        ("photos/u2.png,bee", ("row 8", "cut short or torn, 2 cells of 3")),
        ("~nobody_of_this_name/a.png,bee,", ("row 8", "~nobody_of_this_name is no home folder here")),
        ("photos/a1.png,ant,test", ("row 8", "a1.png is in row 3 already")),
        ("./photos/../photos/a1.png,bee,", ("row 8", "label 'bee' here and 'ant' in row 3")),
        ("photos/u2.png,,test", ("row 8", "has no label, and test images need one")),
        ("photos/u2.png,wasp,test", ("row 8", "no training image has the label 'wasp'")),
        (",ant,", ("row 8", "the path is empty")),
    ],
)
def test_a_wrong_row_is_named_by_its_number(row, said, tmp_path):
    csv_list(tmp_path)
    picture(tmp_path / "photos" / "u2.png")
    text = (tmp_path / "list.csv").read_text()
    check_refused(csv_list(tmp_path, text + row), tmp_path / "list.csv", *said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it needs one column 'path'"),
        ("path,class\nphotos/a1.png,ant\n", "it needs one column 'label'"),
        ("path,label,label\nphotos/a1.png,ant,ant\n", "it needs one column 'label'"),
        ("path,label\nphotos/a1.png,ant\n", "one label, 'ant'"),
        ("path,label\nphotos/a1.png,\n", "no labels"),
    ],
)
def test_a_list_that_is_none_is_named(text, said, tmp_path):
    check_refused(csv_list(tmp_path, text), tmp_path / "list.csv", said)


def test_another_encoding_is_named(tmp_path):
    check_refused(csv_list(tmp_path, "path,label\nphotos/a1.png,é\n", encoding="latin-1"), "no text in UTF-8")


def test_pictures_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    (tmp_path / "1.cr2").write_bytes(b"")
    text = csv_list(tmp_path) and (tmp_path / "list.csv").read_text()
    dataset = load_dataset(csv_list(tmp_path, text + "1.cr2,ant,"))
    assert (len(dataset.train), len(dataset.notes)) == (3, 1)
    assert "left out 1 pictures that cannot be read here (1 .cr2" in dataset.notes[0]
    check_refused(csv_list(tmp_path, text + "1.cr2,wasp,"), "class 'wasp' has nothing but 1 pictures")


def test_a_missing_list_is_named_with_the_way_out(tmp_path):
    missing = tmp_path / "no.csv"
    check_refused(DataSettings("csv", str(missing)), f"data.root={missing}", "no such file", "path,label", "FILE.csv")
    check_refused(DataSettings("csv", str(tmp_path)), "is a folder", "use data=image_folder", "FILE.csv")
    check_refused(DataSettings("csv"), "data.root is not set", "SSL_AUG_DATA", "FILE.csv")
