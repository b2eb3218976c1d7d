"""python -m ssl_aug.report on a set that the command drew: what it writes, writes over, refuses and does without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ssl_aug import generate, report
from ssl_aug.synthetic import read_rows
from tests.conftest import write_image_folder

WORDS = ["data=image_folder", "data.root=photos", "generator=noise", "per_sample=2", "generator.image_size=64"]


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A set of 30 drawings, in the working folder."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    generate.main([*WORDS, "--out", "set", "device=cpu", "precision=fp32"])
    capsys.readouterr()
    return Path("set")


def test_the_page_of_a_set_is_written_into_its_folder_and_over_an_earlier_one(
    drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main(["synthetic.root=set"])
    told = capsys.readouterr().out
    assert "to look at: set/report.html (" in told
    assert "! 30 of 30 drawings are near-copies of a labeled image" in told  # noise on it is the control
    first = (drawn / "report.html").read_text()
    assert first.count('<li id="d') == 30 and "image_folder photos" in first
    report.main(["synthetic.root=set"])
    assert (drawn / "report.html").read_text() == first


def test_the_settings_name_the_set_as_well(drawn: Path, tmp_path: Path) -> None:
    generate.main([*WORDS, "device=cpu", "precision=fp32"])
    with pytest.raises(
        FileNotFoundError, match=r"newest first: synthetic\.root=outputs/synthetic/image_folder-all-split0"
    ):
        report.main([*WORDS, "mask_rate=0.25", "--out", "page.html"])
    report.main([*WORDS, "--out", "page.html"])
    assert Path("page.html").read_text().count('<li id="d') == 30
    report.main(["synthetic.root=set", "per_sample=1", "--out", "short.html"])
    page = Path("short.html").read_text()
    assert page.count('<li id="d') == 15
    assert "15 of 30 drawings are shown, the first of each labeled image (per_sample=1)." in page


def test_a_file_that_is_no_report_of_this_set_stays(drawn: Path) -> None:
    Path("mine.html").write_text("<!doctype html><title>mine</title>")
    for out, said in (
        ("mine.html", "--out mine.html is no report: name another file, nothing is overwritten"),
        ("photos", "--out photos is a folder: name the file to write, such as photos/report.html"),
    ):
        with pytest.raises(FileExistsError, match=said):
            report.main(["synthetic.root=set", "--out", out])
    assert Path("mine.html").read_text() == "<!doctype html><title>mine</title>"
    generate.main([*WORDS, "seed=1", "--out", "other", "device=cpu", "precision=fp32"])
    report.main(["synthetic.root=other", "--out", "other.html"])
    with pytest.raises(FileExistsError, match=r"--out other.html is the report of another set: name another file"):
        report.main(["synthetic.root=set", "--out", "other.html"])


def test_a_set_without_its_data_is_shown_with_the_reason(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").rename("moved")
    report.main(["synthetic.root=set"])
    assert "The labeled images are not shown: set was drawn from data in " in capsys.readouterr().err
    assert ">not here</span>" in (drawn / "report.html").read_text()
    with pytest.raises(FileNotFoundError, match=r"data\.root=nowhere: there is no such folder"):
        report.main(["synthetic.root=set", "data.root=nowhere"])


def test_a_broken_labeled_image_and_a_lost_drawing_stop_nothing(drawn: Path) -> None:
    rows = read_rows(drawn / "manifest.csv")
    (drawn / rows[0]["path"]).unlink()
    (drawn / rows[1]["path"]).write_bytes(b"")
    report.main(["synthetic.root=set"])
    page = (drawn / "report.html").read_text()
    assert ">deleted</button>" in page and ">cannot be read</button>" in page


def test_mistakes_are_told_in_one_line(drawn: Path) -> None:
    for words, said in (
        ("synthetic.root=photos", "synthetic.root=photos holds no finished set: draw one with python -m ssl_aug.gen"),
        ("synthetic.root=set runs=none", "--runs none: no result.json beneath it"),
        ("synthetic.root=set --evaluation none", "--evaluation none: there is no evaluation.json in it"),
        ("synthetic.root=set synthetic.refill=true", "synthetic.refill=true has no effect here"),
        ("synthetic.root=set --outt x", "--outt: there is no such flag"),
        ("synthetic.root=set outt=x", "outt: there is no such setting, did you mean out"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=re.escape(said)) as caught:
            report.main(words.split())
        assert "\n" not in str(caught.value)
    assert not (drawn / "report.html").exists()


def test_a_dry_run_writes_nothing(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.main(["synthetic.root=set", "--dry-run"])
    assert "would show 30 drawings of set in set/report.html" in capsys.readouterr().out
    assert not (drawn / "report.html").exists()
