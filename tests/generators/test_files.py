"""A folder appears whole or not at all, and never in another one's place."""

from pathlib import Path

import pytest

from generators.files import part_beside, remove_parts, written_whole


def test_the_folder_appears_at_the_end_with_all_that_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "model"
    with written_whole(folder) as part:
        (part / "unet.json").write_text("{}")
        assert not folder.exists()
    assert (folder / "unet.json").read_text() == "{}"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("stopped_by", [ValueError, KeyboardInterrupt])
def test_what_stops_half_way_leaves_nothing(tmp_path: Path, stopped_by: type[BaseException]) -> None:
    def write() -> None:
        with written_whole(tmp_path / "model") as part:
            (part / "unet.json").write_text("{}")
            raise stopped_by

    with pytest.raises(stopped_by):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_left_alone(tmp_path: Path, there) -> None:
    there(tmp_path / "model")
    with pytest.raises(FileExistsError, match="exists already"), written_whole(tmp_path / "model"):
        pytest.fail("it was not asked before the work")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_first_of_two_writers_keeps_its_folder(tmp_path: Path) -> None:
    def write_second() -> None:
        with written_whole(tmp_path / "model") as second:
            (second / "of").write_text("second")
            with written_whole(tmp_path / "model") as first:
                (first / "of").write_text("first")

    with pytest.raises(FileExistsError, match="another process"):
        write_second()
    assert (tmp_path / "model" / "of").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_names_of_what_is_half_written_never_come_again_and_fit_where_the_name_does(tmp_path: Path) -> None:
    assert len({part_beside(tmp_path / "set") for _ in range(100)}) == 100
    part_beside(tmp_path / ("🚲" * 63)).touch()  # 252 bytes of the 255 that a name may have


def test_what_is_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    stale, another, of_a_long_name = (part_beside(tmp_path / name) for name in ("set", "settings", "s" * 80))
    others = [tmp_path / name for name in (".git", "set.part", ".set.part", ".set.zip.part")]
    for path in (stale, another, of_a_long_name, *others):
        path.mkdir()
        (path / "file").touch()
    remove_parts(tmp_path.iterdir(), of=tmp_path / "set")
    remove_parts(tmp_path.iterdir(), of=tmp_path / ("s" * 56))  # whose is it, where names were cut short?
    assert {*tmp_path.iterdir()} == {another, of_a_long_name, *others}
    remove_parts(tmp_path.iterdir())
    assert {*tmp_path.iterdir()} == {*others}
