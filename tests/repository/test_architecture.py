"""The direction of imports, and that algorithm files know neither devices nor files' whereabouts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "generators": {"generators"},
    "ssl_aug": {"generators", "ssl_aug"},
    "benchmarks": {"ssl_aug", "benchmarks"},
}
# the one bridge: the registry and the protocol of shared settings name no model
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
ALGORITHMS = [
    *sorted((ROOT / "benchmarks" / "methods").glob("*.py")),
    *(
        ROOT / "generators" / f"{name}.py"
        for name in ("masks", "borrowing", "losses", "seeded_noise", "sampling", "anl")
    ),
]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=names)
def test_imports_run_in_one_direction(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert imported(path) & MAY_IMPORT.keys() <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", ALGORITHMS, ids=names)
def test_algorithm_files_name_no_device(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"cuda", "autocast", "is_available", "backends"}, (
                f"line {node.lineno}: .{node.attr}"
            )
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in {"cuda", "cpu", "mps"}, f"line {node.lineno}: {node.value!r}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "to":
            # to another tensor's type and place is fine: it names neither
            assert all(isinstance(arg, ast.Name) for arg in node.args), f"line {node.lineno}: .to(...)"


def test_the_environment_is_read_in_runtime_only() -> None:
    readers = [
        names(path)
        for path in FILES
        if any(
            isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"}
            for n in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert readers == ["ssl_aug/runtime.py"]


def test_importing_the_package_is_cheap() -> None:
    """Neither torch nor diffusers comes with `import ssl_aug`, nor with what `--help` needs."""
    code = "import sys, ssl_aug.generate, ssl_aug.tune; print({'torch', 'diffusers'} & sys.modules.keys() or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "None"


def test_every_public_function_has_a_docstring() -> None:
    lacking = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and node.col_offset == 0
            ):
                documented = ast.get_docstring(node) or len(node.body) <= 3
                if not documented:
                    lacking.append(f"{names(path)}:{node.lineno} {node.name}")
    assert lacking == []


def test_no_file_grows_beyond_two_screens_without_reason() -> None:
    reasons = {
        "ssl_aug/synthetic.py": "reading and writing of one format",
        "ssl_aug/world/cardetails.py": "the drawing of lamps, grilles and tails: one picture's data",
    }
    long = {names(path) for path in FILES if len(path.read_text().splitlines()) > 300} - reasons.keys()
    assert long == set()
