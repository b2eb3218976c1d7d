"""The page's text: nothing in it runs but our script, nothing leaves it, and all that was drawn is in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_aug.reporting.looks import Look
from ssl_aug.reporting.page import HEAD_BYTES, identity_in, render
from ssl_aug.reporting.sheets import COLUMNS, MOST_BYTES, ROWS, make_sheets
from tests.ssl_aug.reporting.sets import HOSTILE, labeled_set, page_of, write_set


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No outputs/ of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


class Parsed(HTMLParser):
    """Tags with their attributes, and the texts right behind them, as a browser would see them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.opened = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self.opened = tag

    def handle_endtag(self, tag: str) -> None:
        self.opened = ""

    def handle_data(self, data: str) -> None:
        if self.opened:
            self.texts[self.opened][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of classes and files whose names are HTML."""
    root = tmp_path_factory.mktemp("hostile")
    labeled = labeled_set(root)
    write_set(root / "set", labeled, identity={"prompt": "</script><script>alert(3)</script>"})
    (root / "set" / "command.txt").write_text("python -m ssl_aug.generate prompt='</pre><script>alert(4)</script>'\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return render(page_of(root / "set", labeled))


def test_names_from_files_are_text(hostile: str) -> None:
    page = Parsed(hostile)
    assert len(page.all("script")) == 2
    assert {attributes.get("type") for attributes in page.all("script")} == {"application/json", None}
    assert len(page.all("style")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert {attributes["data-name"] for attributes in page.all("section") if "data-name" in attributes} == set(HOSTILE)
    headings = [text for text in page.texts["a"] if text.strip() in HOSTILE]
    assert set(HOSTILE) <= set(headings)
    assert "prompt='</pre><script>alert(4)</script>'" in "".join(page.texts["code"])


def test_the_scripts_data_hold_every_drawing(hostile: str) -> None:
    data: dict[str, Any] = json.loads(Parsed(hostile).texts["script"][0])
    assert data["side"] == 32
    assert len(data["facts"]) == 24
    assert {path.split("/")[0] for path, *_ in data["facts"]} == {"images"}
    assert data["facts"][0][3] == "c0/im 0 & <b>.png"


def test_nothing_can_leave_the_page(hostile: str) -> None:
    page = Parsed(hostile)
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy and "http" not in policy
    for text in (page.texts["style"][0], page.texts["script"][1]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert not [attributes for _, attributes in page.tags if "style" in attributes]  # the policy would drop them
    links = [value for _, each in page.tags for name in ("href", "src") if (value := each.get(name)) is not None]
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert not page.all("link") and not page.all("iframe") and not page.all("form")[0].get("action")
    assert set(re.findall(r"url\((.{11})", page.texts["style"][0])) == {"data:image/"}


def test_every_link_inside_leads_somewhere_and_no_id_is_there_twice(hostile: str) -> None:
    page = Parsed(hostile)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(each["href"])[1:] for each in page.all("a")} <= set(ids)
    named = [value for _, each in page.tags for name in ("aria-labelledby", "for") if (value := each.get(name))]
    assert set(named) <= set(ids)


def test_what_filters_ask_for_stands_at_each_drawing(hostile: str) -> None:
    drawings = [each for each in Parsed(hostile).all("li") if "data-c" in each]
    assert len(drawings) == 24
    assert {(each["data-c"], each["data-q"], each["data-f"]) for each in drawings} == {("0.9", "0.5", "")}
    assert {each["id"] for each in drawings} == {f"d{number}" for number in range(24)}


def test_a_drawing_takes_little_text(tmp_path: Path) -> None:
    """784 x 10 of them beside 20 MB of pictures stay below 25 MB."""
    lengths = []
    for count in (2, 4):
        labeled = labeled_set(tmp_path / str(count), ("ash", "beech"))
        write_set(tmp_path / str(count) / "set", labeled, per_sample=count)
        text = render(page_of(tmp_path / str(count) / "set", labeled))
        lengths.append(len(re.sub("data:image/jpeg;base64,[^)]*", "", text)))
    assert (lengths[1] - lengths[0]) / 8 < 25_000_000 / 7840 - MOST_BYTES * 4 / 3 / 7840


def test_every_picture_has_words(hostile: str) -> None:
    page = Parsed(hostile)
    pictures = [
        each for _, each in page.tags if each.get("role") == "img" and not str(each.get("id")).startswith("close")
    ]
    assert pictures and all(each.get("aria-label") for each in pictures)
    assert all(
        each.get("aria-label") for each in page.all("button") if each.get("class", "") and "t " in str(each["class"])
    )
    assert "im-0-&-<b>_0.png, class score 0.9, source score 0.5" in {
        each.get("aria-label") for each in page.all("button")
    }


def test_a_page_is_known_again_by_its_first_lines(hostile: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(hostile)
    known = identity_in(tmp_path / "page.html")
    assert known is not None and re.fullmatch("[0-9a-f]{8}", known)
    (tmp_path / "other.html").write_text("<!doctype html><title>mine</title>" + " " * HEAD_BYTES + hostile)
    assert identity_in(tmp_path / "other.html") is None
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    assert identity_in(tmp_path / "binary") is None


def test_thumbnails_find_their_places_and_fit_whatever_they_show() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (COLUMNS * ROWS + 2, 32, 32, 3), dtype=np.uint8)
    looks = [Look(pixels) for pixels in noise]
    looks.insert(1, Look(None, "gone"))
    sheets = make_sheets(looks, 32, most_bytes=150_000)
    assert sum(len(uri) for uri in sheets.uris) < 150_000 * 1.4
    assert len(sheets.uris) == 2 and sheets.cells[1] is None
    first, second, last = sheets.cells[0], sheets.cells[2], sheets.cells[-1]
    assert first and (first.sheet, first.column, first.row) == (0, 0, 0)
    assert second and (second.sheet, second.column, second.row) == (0, 1, 0)
    assert last and (last.sheet, last.column, last.row) == (1, 1, 0)
