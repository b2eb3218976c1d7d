"""What `--help` says of a setting is the comment at its field: one, behind it or above it."""

import ast
from pathlib import Path

import pytest

from ssl_aug.help import fields_of

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(ROOT / package / "settings.py" for package in ("generators", "ssl_aug", "benchmarks")),
    *sorted((ROOT / "ssl_aug").glob("*/settings.py")),
    *sorted((ROOT / "benchmarks" / "methods").glob("*.py")),
]
CLASSES = [
    (path, node.name)
    for path in SOURCES
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.ClassDef) and node.name.endswith("Settings")
]


@pytest.mark.parametrize(("path", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_every_setting_is_explained_and_nothing_said_of_it_is_lost(path: Path, name: str) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    for field, _, explained in fields_of(path, name):
        if field == "name":  # the group's own, which stands under Groups
            continue
        number = next(number for number, line in enumerate(lines) if line.startswith(f"{field}: "))
        assert explained, field
        assert "  # " not in lines[number] or not lines[number - 1].startswith("# "), f"{field} is explained twice"


def test_a_setting_is_explained_by_the_lines_above_or_the_words_behind(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(
        "class Some:\n    # where it lies,\n    # or null\n"
        "    root: str | None = field(default=None, metadata=decides())\n"
        '    steps: int = field(default=3, metadata=decides("pictures"))  # how many\n    rates: list = field(\n'
        "        default_factory=lambda: [1]\n    )\n    inner: Other = field(default_factory=Other)\n"
    )
    assert fields_of(tmp_path / "settings.py", "Some") == [
        ("root", "null", "where it lies, or null"),
        ("steps", "3", "how many"),
        ("rates", "[1]", ""),
    ]
