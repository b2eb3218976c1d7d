"""Drawings that were thrown out by eye, or altered: what every reader then takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from generators import hashes
from ssl_aug.settings import Settings, SyntheticSettings
from ssl_aug.synthetic import SetWriter, SyntheticSet, open_for
from tests.conftest import contents
from tests.ssl_aug.synthetic.test_synthetic import labeled_set, write_all


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished set, two images of each of twelve labeled ones."""
    write_all(tmp_path / "set", labeled_set(), 2)
    return tmp_path / "set"


def settings_of(folder: Path, per_sample: int = 2) -> Settings:
    return Settings(synthetic=SyntheticSettings(str(folder)), per_sample=per_sample)


def test_a_deleted_drawing_is_left_out_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = SyntheticSet.open(folder)
    whole.examples[3].path.unlink()
    opened = open_for(labeled_set(), settings_of(folder))
    assert opened.rows == whole.rows[:3] + whole.rows[4:]
    assert (len(opened), opened.num_drawn, opened.id != whole.id) == (23, 24, True)
    assert f"{folder}: 1 of 24 drawings are left out (1 deleted)" in capsys.readouterr().err
    assert len(open_for(labeled_set(), settings_of(folder, per_sample=1))) == 11


def test_listing_a_drawing_is_as_good_as_deleting_it(folder: Path) -> None:
    whole = SyntheticSet.open(folder)
    first, second = (row["path"] for row in whole.rows[:2])
    lines = ["# by eye", "", f"./{first}  # two heads", second.replace("/", "\\"), first]
    (folder / "rejected.txt").write_text("\n".join(lines))
    opened = SyntheticSet.open(folder)
    assert opened.rows == whole.rows[2:]
    assert opened.left_out == "2 of 24 drawings are left out (2 in rejected.txt)"
    (folder / first).unlink()  # both: it counts once
    assert SyntheticSet.open(folder).left_out == opened.left_out
    assert SyntheticSet.open(folder).id == opened.id


def test_a_line_that_names_no_drawing_is_an_error(folder: Path) -> None:
    (folder / "rejected.txt").write_text("images/00_c0/0_0.jpg\n")
    with pytest.raises(ValueError, match=r"rejected\.txt names images/00_c0/0_0\.jpg, which manifest\.csv does not"):
        SyntheticSet.open(folder)


def test_nothing_left_is_an_error(folder: Path) -> None:
    rows = SyntheticSet.open(folder).rows
    (folder / "rejected.txt").write_text("\n".join(row["path"] for row in rows))
    with pytest.raises(ValueError, match="so that none is left to train on"):
        open_for(labeled_set(), settings_of(folder))
    for row in rows:
        (folder / row["path"]).unlink()
    with pytest.raises(FileNotFoundError, match=r"none of the 24 images .* copy images/ again"):
        SyntheticSet.open(folder)


def test_what_was_thrown_out_is_drawn_again_only_where_asked(folder: Path) -> None:
    before = contents(folder)
    victims = [example.path for example in SyntheticSet.open(folder).examples[3:15:6]]
    for victim in victims:
        victim.unlink()
    write_all(folder, labeled_set(), 2)
    assert not any(victim.exists() for victim in victims)
    write_all(folder, labeled_set(), 3)  # nor where the set grows
    assert not any(victim.exists() for victim in victims)
    assert (len(SyntheticSet.open(folder)), SyntheticSet.open(folder).num_drawn) == (34, 36)
    write_all(folder, labeled_set(), 3, refill=True)
    assert (
        contents(folder / "images").items()
        >= {
            name.removeprefix("images/"): content for name, content in before.items() if name.startswith("images/")
        }.items()
    )
    assert len(SyntheticSet.open(folder)) == 36


def test_an_unfinished_set_misses_what_is_gone(tmp_path: Path) -> None:
    write_all(tmp_path / "set", labeled_set(), 1, stop_after=2)
    victim = next(path for path in (tmp_path / "set" / "images").rglob("*.png"))
    victim.unlink()
    assert (
        str(victim.relative_to(tmp_path / "set")) not in SetWriter(tmp_path / "set", {"seed": 0}, labeled_set()).done()
    )
    write_all(tmp_path / "set", labeled_set(), 1)
    assert victim.is_file()


def test_an_altered_drawing_is_refused_with_the_ways_out(folder: Path) -> None:
    before = contents(folder)
    row = SyntheticSet.open(folder).rows[5]
    victim = folder / row["path"]
    victim.write_bytes(victim.read_bytes()[::-1])  # as long as it was
    for read in (lambda: SyntheticSet.open(folder), lambda: write_all(folder, labeled_set(), 2)):
        with pytest.raises(ValueError, match=rf"{victim.name} is not as it was drawn, .*rejected\.txt.*refill=true"):
            read()
    (folder / "rejected.txt").write_text(row["path"])
    assert len(SyntheticSet.open(folder)) == 23
    (folder / "rejected.txt").unlink()
    write_all(folder, labeled_set(), 2, refill=True)
    assert contents(folder) == before


def test_a_second_opening_reads_no_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    paths = [example.path for example in SyntheticSet.open(folder).examples]
    SyntheticSet.open(folder)
    read: list[Path] = []

    def reading(path: Path) -> str:
        read.append(path)
        return file_hash(path)

    file_hash = hashes.file_hash
    monkeypatch.setattr(hashes, "file_hash", reading)
    SyntheticSet.open(folder)
    assert read == []
    paths[0].touch()
    SyntheticSet.open(folder)
    assert read == paths[:1]


def test_refilling_is_said_to_the_command_that_draws(folder: Path) -> None:
    asked = replace(settings_of(folder), synthetic=SyntheticSettings(str(folder), refill=True))
    with pytest.raises(ValueError, match=r"refill=true has no effect here: give it to python -m ssl_aug\.generate"):
        open_for(labeled_set(), asked)
