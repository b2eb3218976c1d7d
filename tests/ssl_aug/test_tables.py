"""Tables come back as they were written, whatever saved them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_aug.tables import csv_line, read_table, read_text

CELLS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=4)


@given(CELLS)
def test_any_cells_read_back(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes((csv_line(["a", "b"]) + csv_line(cells)).encode())
    assert list(read_table(path, "")) == [["a", "b"], cells]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", ",;\t")
def test_what_editors_and_spreadsheets_save_is_read(tmp_path: Path, encoding: str, end: str, delimiter: str) -> None:
    path = tmp_path / "saved.csv"
    path.write_bytes(end.join(delimiter.join(row) for row in ("ab", "é\u2028")).encode(encoding))
    assert list(read_table(path, "")) == [["a", "b"], ["é", "\u2028"]]


@pytest.mark.parametrize("content", [b"\xff\xfea", b"a,\xe9\n", b'a,b\n"c,d\n', b'a,b\n"c"d,e\n'])
def test_what_is_no_table_is_one_line_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        list(read_table(path, "save it again"))
    message = str(error.value)
    assert message.startswith(str(path)) and message.endswith(": save it again") and "\n" not in message


def test_an_empty_file_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    assert read_text(tmp_path / "empty.txt", "") == ""
