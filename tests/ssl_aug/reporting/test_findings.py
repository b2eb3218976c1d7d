"""What looks wrong with a set is found, and comes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_aug.reporting import subject
from ssl_aug.reporting.findings import ALIKE, BLANK, COPY, GRAINY, LOW, UNREADABLE
from ssl_aug.reporting.page import Page, render
from ssl_aug.synthetic.kept import REJECTED
from tests.ssl_aug.reporting.sets import SIDE, labeled_set, page_of, picture, png, write_set

NAMES = ("ash", "beech", "cedar")
RANDOM = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No outputs/ of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def flags_of(page: Page) -> dict[int, tuple[str, ...]]:
    """Of each drawing that has some."""
    views = [one for each in page.classes for row in each.rows for one in row.drawings]
    return {one.number: one.flags for one in views if one.flags}


def titles(page: Page) -> list[str]:
    return [finding.title for finding in page.findings]


def test_a_sound_set_has_nothing_that_stands_out(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    write_set(tmp_path / "set", labeled)
    page = page_of(tmp_path / "set", labeled)
    assert (titles(page), flags_of(page)) == ([], {})
    assert "Nothing stands out." in render(page)


def test_each_fault_is_found_and_the_gravest_are_told_first(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    mirrored = picture(100)[:, ::-1].copy()  # the first labeled image of beech
    pictures = {0: np.full((SIDE, SIDE, 3), 7, np.uint8), 1: RANDOM, 2: mirrored, 9: picture(5), 15: picture(5)}
    low = {place: {"class_score": "0.1"} for place in (4, 5, 10, 11)}
    requests = write_set(tmp_path / "set", labeled, pictures, low | {3: {"source_score": "0.98"}})
    assert requests[9].source.label == requests[15].source.label
    page = page_of(tmp_path / "set", labeled)
    assert flags_of(page) == {
        0: (BLANK,), 1: (GRAINY,), 2: (COPY,), 3: (COPY,), 9: (ALIKE,), 15: (ALIKE,),
        **dict.fromkeys((4, 5, 10, 11), (LOW,)),
    }  # fmt: skip
    assert titles(page) == [
        "1 of 18 drawings is nearly one color",
        "1 of 18 drawings is little more than noise",
        "2 of 18 drawings are near-copies of a labeled image",
        "2 of 18 drawings are the same as another one",
        "CLIP recognizes less than half of the drawings in 1 of 3 classes",
    ]
    (shown,) = page.findings[-1].classes
    assert (shown.label, shown.told_share) == (2, pytest.approx(1 / 3))
    # most faults of the pictures first: of 6 drawings each, beech has four, ash two, cedar none
    assert [each.name for each in page.classes] == ["beech", "ash", "cedar"]


def test_a_set_that_shows_one_thing_is_told_so(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    write_set(tmp_path / "set", labeled, dict.fromkeys(range(18), picture(1)))
    page = page_of(tmp_path / "set", labeled)
    assert titles(page)[:2] == ["All drawings look alike", "18 of 18 drawings are near-copies of a labeled image"]
    assert page.findings[0].is_grave and page.findings[1].is_grave


def test_what_labeled_images_are_themselves_is_not_wrong_with_drawings(tmp_path: Path) -> None:
    """Scans of one organ: all alike, to a little."""
    labeled = labeled_set(tmp_path, NAMES)
    scan, rng = picture(1).astype(int), np.random.default_rng(0)
    faint = [np.clip(scan + rng.normal(0, 12, scan.shape), 0, 255).astype(np.uint8) for _ in range(24)]
    for example, pixels in zip(labeled.examples, faint, strict=False):
        example.path.write_bytes(png(pixels))
    labeled = type(labeled)(labeled.examples, labeled.class_names)
    write_set(tmp_path / "set", labeled, dict(enumerate(faint[6:])))
    page = page_of(tmp_path / "set", labeled)
    assert "All drawings look alike" not in titles(page)
    assert sum(COPY in flags for flags in flags_of(page).values()) < 6
    write_set(tmp_path / "copies", labeled, dict.fromkeys(range(18), faint[0]))
    assert sum(COPY in flags for flags in flags_of(page_of(tmp_path / "copies", labeled)).values()) == 18


def test_scores_of_a_clip_that_finds_all_alike_flag_no_copies(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    write_set(tmp_path / "set", labeled, facts={place: {"source_score": "0.99"} for place in range(18)})
    page = page_of(tmp_path / "set", labeled)
    assert titles(page) == ["CLIP hardly tells the drawings from their labeled images"]
    assert flags_of(page) == {}


def test_what_is_gone_altered_unreadable_or_rejected_is_shown_as_such(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    requests = write_set(tmp_path / "set", labeled)
    for place, content in ((0, None), (1, b"no image"), (2, (tmp_path / "set" / requests[3].path).read_bytes())):
        path = tmp_path / "set" / requests[place].path
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    (tmp_path / "set" / REJECTED).write_text(f"{requests[4].path}  # looks odd\n")
    labeled.examples[0].path.write_bytes(labeled.examples[0].path.read_bytes())
    page = page_of(tmp_path / "set", labeled)
    found = flags_of(page)
    assert (found[0], found[1], found[4]) == (("deleted",), (UNREADABLE, "altered"), ("rejected",))
    assert "altered" in found[2]
    assert [one.why_none for one in page.pictures[:3]] == ["deleted", "cannot be read", ""]
    assert page.tiles[0] == ("14", "drawings (4 left out)")
    assert ">deleted</button>" in render(page)


def test_a_set_without_its_data_is_shown_without_labeled_images(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    write_set(tmp_path / "set", labeled)
    page = page_of(tmp_path / "set", None)
    assert page.notices == ("The labeled images are not shown: their data are gone.",)
    assert {row.picture.why_none for each in page.classes for row in each.rows} == {"not here"}
    assert sum(len(row.drawings) for each in page.classes for row in each.rows) == 18
    labeled.examples[0].path.write_bytes(labeled.examples[1].path.read_bytes())
    page = page_of(tmp_path / "set", type(labeled)(labeled.examples, labeled.class_names))
    assert "those that lie here now are labeled set" in page.notices[0]
    assert {row.picture.css for each in page.classes for row in each.rows} == {""}


def test_of_more_drawings_than_a_page_takes_the_first_of_each_image_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MOST_SHOWN", 6)
    labeled = labeled_set(tmp_path, NAMES)
    write_set(tmp_path / "set", labeled)
    page = page_of(tmp_path / "set", labeled)
    assert [[len(row.drawings) for row in each.rows] for each in page.classes] == [[1, 1]] * 3
    assert page.notices == ("6 of 18 drawings are shown, the first of each labeled image (a page takes 6).",)


def test_a_class_without_drawings_is_named(tmp_path: Path) -> None:
    labeled = labeled_set(tmp_path, NAMES)
    requests = write_set(tmp_path / "set", labeled)
    manifest = tmp_path / "set" / "manifest.csv"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "/01_beech/" not in line))
    page = page_of(tmp_path / "set", labeled)
    assert titles(page) == ["1 class without a drawing"]
    assert len(requests) == 18 and page.classes[0].name != "beech"
    assert render(page).count("nothing drawn") == 2  # beech's labeled images
