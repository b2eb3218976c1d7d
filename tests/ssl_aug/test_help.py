"""What `--help` says of a setting is the comment at its field: one, behind it or above it."""

import ast
from pathlib import Path

import pytest

from benchmarks.method_files import method_names
from benchmarks.run import main as benchmark
from ssl_aug import generate
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


def test_beside_other_words_help_shows_what_holds_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    both = ["condition=image+class", "tune.condition_dropout=0.1"]
    generate.main(["--help", "experiment=sd15", "--per-sample", "3", *both])
    page = capsys.readouterr().out
    for line in ("per_sample=3 ", "steps=25 ", "mask_rate=0.5 ", "class_prompt=a photo of a {class} ", "tune.rank=16 "):
        assert f"\n  {line}" in page
    generate.main(["--help"])
    assert "\n  steps=200 " in capsys.readouterr().out


def test_the_benchmark_shows_the_settings_of_the_chosen_method_alone(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(["--help", "method=fixmatch", "experiment=paper"])
    page = capsys.readouterr().out
    assert "\n  method.threshold=0.7 " in page
    assert "\n  train.steps=30000 " in page
    assert page.count("\nmethod=") == 1
    benchmark(["--help"])
    assert capsys.readouterr().out.count("\nmethod=") == len(method_names())
    with pytest.raises(ValueError, match="there is no such method"):
        benchmark(["--help", "method=fixmutch"])
