"""What is no set, or no longer the one that was drawn, is refused in one line that says where and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl_aug.files import read_json, write_json
from ssl_aug.settings import Settings, SyntheticSettings, deciding_pictures
from ssl_aug.synthetic import SyntheticSet, open_for, read_rows, with_words_of_set
from ssl_aug.synthetic.manifest import COLUMNS
from tests.conftest import contents
from tests.ssl_aug.synthetic.test_synthetic import labeled_set, write_all

Table = list[list[str]]
COLUMN = {name: number for number, name in enumerate(COLUMNS)}
WAY_OUT = "put a copy of the file back, or without one remove it and run the same"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished set, two images of each of six labeled ones."""
    write_all(tmp_path / "set", labeled_set(per_class=2), 2)
    return tmp_path / "set"


def change(folder: Path, row: int, column: str, cell: str) -> None:
    """Puts a cell into the manifest; row 1 is the header."""
    lines = (folder / "manifest.csv").read_text().splitlines()
    cells = lines[row - 1].split(",")
    cells[COLUMN[column]] = cell
    lines[row - 1] = ",".join(cells)
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def refusal(folder: Path) -> str:
    """The one line with which a set is refused, by itself or by its labeled set."""
    with pytest.raises((ValueError, OSError)) as error:
        labeled_set(per_class=2).with_synthetic(SyntheticSet.open(folder))
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("path", "../../x.png", r"row 3: path '\.\./\.\./x\.png' is none inside the set's folder"),
        ("path", "/etc/passwd", "row 3: path '/etc/passwd' is none inside the set's folder"),
        ("path", "", "row 3: path '' is none inside"),
        ("path", "images/00_c0/0_0.png", "row 3: .* as row 2|row 3: it is the same image as row 2"),
        ("label", "1", "row 3: label 1 contradicts the path images/00_c0/1_0.png"),
        ("label", "-1", "row 3: label '-1' is no whole number from 0"),
        ("label", "0.0", "row 3: label '0.0' is no whole number"),
        ("label", "٠", "row 3: label '٠' is no whole number"),
        ("label", "", "row 3: label '' is no whole number"),
        ("k", "7", "row 3: k 7 contradicts the path"),
        ("k", "1e0", "row 3: k '1e0' is no whole number"),
        ("k", "9" * 5000, "row 3: k '9+' is no whole number"),
        ("sha256", "", "row 3: sha256 '' is not 64 hex digits"),
        ("sha256", "abc", "row 3: sha256 'abc' is not 64 hex digits"),
        ("class_score", "wide", "row 3: class_score 'wide' is no number with a decimal point"),
        ("class_name", "c1", "images/00_c0/1_0.png has the label 0, which is 'c0', and class_name 'c1'"),
        ("source", "c1/0.jpg", "has the label 0 and the source 'c1/0.jpg', which has another label"),
        ("source", "c0/7.jpg", "has the label 0 and the source 'c0/7.jpg', which is no labeled image"),
    ],
)  # fmt: skip
def test_a_changed_cell_is_named(folder: Path, column: str, cell: str, said: str) -> None:
    change(folder, 3, column, cell)
    message = refusal(folder)
    assert re.search(said, message), message
    assert message.startswith(str(folder / "manifest.csv"))
    assert WAY_OUT in message


def test_a_test_image_copied_over_a_drawing_is_refused(folder: Path) -> None:
    (folder / "images/00_c0/1_0.png").write_bytes(b"a test image")
    assert "images/00_c0/1_0.png is not as it was drawn" in refusal(folder)
    with pytest.raises(ValueError, match="is not as it was drawn"):  # before anything is drawn
        write_all(folder, labeled_set(per_class=2), 3)
    assert len(read_rows(folder / "manifest.csv")) == 12


def test_an_altered_drawing_of_an_unfinished_set_is_refused_before_more_are_drawn(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), 1, stop_after=1)
    victim = next((tmp_path / "set").rglob("*.png"))
    victim.write_bytes(b"another")
    with pytest.raises(ValueError, match=rf"{victim.name} is not as it was drawn"):
        write_all(tmp_path / "set", labeled_set(), 1)
    write_all(tmp_path / "set", labeled_set(), 1, refill=True)
    assert victim.read_bytes() != b"another"


def test_a_class_beyond_those_of_the_record_is_refused(folder: Path) -> None:
    record = read_json(folder / "generator.json")
    assert record["class_names"] == ["c0", "c1", "c2"]
    write_json(folder / "generator.json", {**record, "class_names": ["c0", "c1"]})
    assert "has the label 2, the set has the classes 0 to 1" in refusal(folder)
    del record["class_names"]  # a set of before they were recorded
    write_json(folder / "generator.json", record)
    assert len(SyntheticSet.open(folder)) == 12


@pytest.mark.parametrize("what", ["images", "images/00_c0", "images/00_c0/1_0.png"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, what: str) -> None:
    (folder / what).rename(tmp_path / "elsewhere")
    (folder / what).symlink_to(tmp_path / "elsewhere")
    message = refusal(folder)
    assert f"leads out of the set's folder to {tmp_path / 'elsewhere'}" in message
    (tmp_path / "link").symlink_to(folder)
    (folder / what).unlink()
    (tmp_path / "elsewhere").rename(folder / what)
    assert len(SyntheticSet.open(tmp_path / "link")) == 12, "a link to the set itself is one way out"


def test_a_torn_manifest_can_be_mended_as_it_says(folder: Path) -> None:
    before = contents(folder)
    text = (folder / "manifest.csv").read_text()
    for end in (len(text) // 2, text.index("images/01") + 7, text.rindex("images"), len(text) - 3):
        (folder / "manifest.csv").write_text(text[:end])
        message = refusal(folder)
        assert str(folder / "manifest.csv") in message
        assert WAY_OUT in message
        with pytest.raises(ValueError, match=re.escape(message)):
            write_all(folder, labeled_set(per_class=2), 2)
        (folder / "manifest.csv").unlink()
        write_all(folder, labeled_set(per_class=2), 2)
        assert contents(folder) == before


def recoded(encoding: str) -> Callable[[str], bytes]:
    return lambda text: text.encode(encoding)


READ: dict[str, Callable[[str], bytes]] = {
    "byte order mark": recoded("utf-8-sig"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode("utf-8-sig"),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "UTF-16": recoded("utf-16"),
    "no last newline": lambda text: text.rstrip("\n").encode(),
    "quotes": lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text).encode(),
    "empty rows": lambda text: f"{text}\n{',' * (len(COLUMNS) - 1)}\n".encode(),
    "a rounded seed": lambda text: re.sub(r",\d{17,19},", ",1.23E+18,", text).encode(),
}


@pytest.mark.parametrize("saved", READ)
def test_what_a_spreadsheet_saves_is_read(folder: Path, saved: str) -> None:
    before = SyntheticSet.open(folder)
    path = folder / "manifest.csv"
    path.write_bytes(READ[saved](path.read_text()))
    after = SyntheticSet.open(folder)
    assert after.id == before.id
    assert after.examples == before.examples


REFUSED: dict[str, Callable[[str], bytes]] = {
    "empty": lambda text: b"",
    "no header": lambda text: text.partition("\n")[2].encode(),
    "UTF-16 without mark": recoded("utf-16-le"),
    "no text": lambda text: b"\x80" + text.encode(),
    "no sha256": lambda text: "\n".join(line.replace("sha256", "hash") for line in text.split("\n")).encode(),
    "two labels": lambda text: text.replace("seed", "label", 1).encode(),
    "an open quote": lambda text: text.replace("images", '"images', 1).encode(),
    "fewer rows": lambda text: "".join(text.splitlines(keepends=True)[:-2]).encode(),
    "decimal commas": lambda text: text.replace(",", ";").replace("0.5", "0,5").encode(),
    "HTML": lambda text: b"<html>\n" + text.encode(),
}


@pytest.mark.parametrize("saved", REFUSED)
def test_what_is_no_manifest_is_one_line(folder: Path, saved: str) -> None:
    path = folder / "manifest.csv"
    path.write_bytes(REFUSED[saved](path.read_text()))
    message = refusal(folder)
    assert str(path) in message
    assert WAY_OUT in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "holds no JSON object"),
        ("set", "holds no JSON object"),
        ({}, "lacks labeled_set_id"),
        ({"labeled_set_id": 7}, "labeled_set_id is 7, no str"),
        ({"labeled_set_id": "a", "strength": "0.5"}, "strength is '0.5', no float"),
        ({"labeled_set_id": "a", "num_images": "12"}, "num_images is '12', no int"),
        ({"labeled_set_id": "a", "imported": 1}, "imported is 1, no bool"),
        ({"labeled_set_id": "a", "prompt": ["a"]}, "prompt is .*, no str or null"),
        ({"labeled_set_id": "a", "tune": "anl"}, "tune is 'anl', no group of settings"),
        ({"labeled_set_id": "a", "tune": {"steps": "9"}}, r"tune\.steps is '9', no int"),
        ({"labeled_set_id": "a", "data": [1]}, r"data is \[1\], no group"),
        ({"labeled_set_id": "a", "class_names": [1]}, "class_names holds something else than names"),
        ({"labeled_set_id": "a", "places": {"data.root": 1}}, "places holds something else than paths"),
    ],
)
def test_a_record_of_another_shape_is_named_by_its_field(folder: Path, content: Any, said: str) -> None:
    (folder / "generator.json").write_text(json.dumps(content))
    message = refusal(folder)
    assert re.search(said, message), message
    assert message.startswith(str(folder / "generator.json"))


# ---------------------------------------------------------------------------------------------------------------------
# whatever became of the files

ODD = ("", "0", "-1", "1e9", "nan", "../x.png", "images/00_c0/0_0.png", "\x00", "\r", "\n", '"', "٣", "9" * 400)
CELLS = st.one_of(st.text(max_size=12), st.sampled_from(ODD))


def spoiled(draw: st.DrawFn, content: bytes) -> bytes:
    """A file's content with some bytes replaced, taken out or put in."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(changed)))
        end = min(len(changed), start + draw(st.integers(0, 30)))
        changed[start:end] = draw(st.binary(max_size=8))
    return bytes(changed[: draw(st.integers(0, len(changed)))] if draw(st.booleans()) else changed)


@st.composite
def manifests(draw: st.DrawFn, text: str) -> bytes:
    if draw(st.booleans()):
        return spoiled(draw, text.encode())
    table: Table = [line.split(",") for line in text.splitlines()]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(table))
        row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
    if draw(st.booleans()):
        column = draw(st.integers(0, len(COLUMNS) - 1))
        table = [row[:column] + row[column + 1 :] for row in table]
    delimiter = draw(st.sampled_from(",;\t"))
    return "\n".join(delimiter.join(row) for row in draw(st.permutations(table))).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def records(draw: st.DrawFn, record: dict[str, Any]) -> bytes:
    if draw(st.booleans()):
        return spoiled(draw, json.dumps(record).encode())
    changed = json.loads(json.dumps(record))
    for _ in range(draw(st.integers(1, 3))):
        group = changed[draw(st.sampled_from(["data", "tune", "generator"]))] if draw(st.booleans()) else changed
        if isinstance(group, dict) and group:
            name = draw(st.sampled_from(sorted(group)))
            if draw(st.booleans()):
                group[name] = draw(JSON)
            elif group is not changed:
                del group[name]
    return json.dumps(changed).encode()


def line_of(read: Callable[[], object]) -> str:
    """What something is refused with, "read" where it runs to its end; any other exception gets through."""
    try:
        read()
    except (ValueError, OSError) as error:
        return str(error)
    return "read"


def is_one_line(message: str) -> bool:
    return len(message.splitlines()) == 1 and len(message) < 2000


ONE_FOLDER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ONE_FOLDER
@given(data=st.data())
def test_whatever_became_of_a_manifest_is_read_or_one_line(folder: Path, data: st.DataObject) -> None:
    path = folder / "manifest.csv"
    whole = path.with_suffix(".whole")
    if not whole.is_file():
        whole.write_bytes(path.read_bytes())
    path.write_bytes(data.draw(manifests(whole.read_text())))
    said = line_of(lambda: labeled_set(per_class=2).with_synthetic(SyntheticSet.open(folder)))
    assert is_one_line(said), said


@ONE_FOLDER
@given(data=st.data())
def test_whatever_became_of_a_record_is_read_or_one_line(folder: Path, data: st.DataObject) -> None:
    path = folder / "generator.json"
    whole = path.with_suffix(".whole")
    if not whole.is_file():
        record = {**read_json(path), **deciding_pictures(Settings()), "places": {"data.root": "/data"}}
        whole.write_text(json.dumps(record))
    path.write_bytes(data.draw(records(read_json(whole))))
    asked = Settings(synthetic=SyntheticSettings(str(folder)), per_sample=2)
    root = f"synthetic.root={folder}"
    for read in (lambda: open_for(labeled_set(per_class=2), asked), lambda: with_words_of_set([root, "data.root=."])):
        said = line_of(read)
        assert is_one_line(said), said
