"""The direction of imports, what each file may name, and that commands start quickly.

exemptions.toml lists what is let pass, with reasons.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "generators": {"generators"},
    "ssl_aug": {"generators", "ssl_aug"},
    "benchmarks": {"ssl_aug", "benchmarks"},
}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
ALGORITHMS = [
    *sorted((ROOT / "benchmarks" / "methods").glob("*.py")),
    *(
        ROOT / "generators" / f"{name}.py"
        for name in ("masks", "borrowing", "losses", "seeded_noise", "sampling", "anl", "lora")
    ),
]
EXEMPTIONS = tomllib.loads(Path(__file__).with_name("exemptions.toml").read_text())
MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FUNCTION = 250, 60
SLOW_TO_LOAD = {*MAY_IMPORT, "torch", "numpy"}  # our packages load the other two
HELP_SECONDS = 0.5
COMMANDS = [  # every file that ends in runtime.command(main)
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for path in FILES
    if re.search(r"^    command\(main\b", path.read_text(), flags=re.MULTILINE)
]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


# ---------------------------------------------------------------------------------------------------------------------
# imports


def modules_of(statement: ast.AST) -> list[str]:
    """The modules that a statement imports, without the names that it takes from them."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        assert statement.level == 0 and statement.module, f"line {statement.lineno}: relative import"
        return [statement.module]
    return []


def packages_of(statement: ast.AST) -> set[str]:
    return {module.split(".")[0] for module in modules_of(statement)}


@pytest.mark.parametrize("path", FILES, ids=names)
def test_imports_run_in_one_direction(path: Path) -> None:
    imported = set().union(*(packages_of(node) for node in ast.walk(tree(path))))
    assert imported & MAY_IMPORT.keys() <= MAY_IMPORT[path.relative_to(ROOT).parts[0]]


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when a module is imported: none in functions, none for the type checker alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        yield child
        yield from run_at_import(child)


def import_graph(root: Path, packages: list[str]) -> dict[str, set[str]]:
    """For each module of these packages those of them that importing it runs first."""
    paths = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in packages
        for path in (root / package).rglob("*.py")
    }
    graph: dict[str, set[str]] = {name: set() for name in paths}
    for name, path in paths.items():
        for statement in run_at_import(ast.parse(path.read_text())):
            for module in modules_of(statement):
                taken = [f"{module}.{alias.name}" for alias in getattr(statement, "names", [])]
                submodules = [one for one in taken if one in paths]
                # "from package import submodule" needs the package itself only if it also takes a name of its own
                wanted = submodules if len(submodules) == len(taken) else [*submodules, module]
                graph[name] |= set(wanted) & paths.keys()
                # a package's __init__ runs before what is in it, unless it is what is running already
                for one in wanted:
                    parents = {".".join(one.split(".")[:depth]) for depth in range(1, one.count(".") + 1)}
                    graph[name] |= {parent for parent in parents & paths.keys() if not name.startswith(f"{parent}.")}
    return graph


def circle_in(graph: dict[str, set[str]]) -> str | None:
    """One circle of imports as `a -> b -> a`, from its first module by name; None where there is none."""
    try:
        TopologicalSorter({name: imported - {name} for name, imported in graph.items()}).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))[1:]
        start = circle.index(min(circle))
        return " -> ".join([*circle[start:], *circle[:start], circle[start]])
    return None


def test_no_modules_import_each_other_in_a_circle() -> None:
    circle = circle_in(import_graph(ROOT, list(MAY_IMPORT)))
    assert circle is None, f"move what both need into a third file: {circle}"


@pytest.mark.parametrize(
    ("second", "circle"),
    [
        ("import package.first", "package.first -> package.second -> package.first"),
        ("if True:\n    from package import first", "package.first -> package.second -> package.first"),
        ("def late():\n    import package.first", None),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.first import name", None),
        ("from package import NAME", None),
    ],
)
def test_a_circle_is_found_where_imports_run(second: str, circle: str | None, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("NAME = 1\n")
    (tmp_path / "package" / "first.py").write_text("from package.second import something\n")
    (tmp_path / "package" / "second.py").write_text(second)
    assert circle_in(import_graph(tmp_path, ["package"])) == circle


def inner_imports(path: Path) -> int:
    """Statements in functions that import our packages, torch or numpy."""
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
    statements = {node for function in functions for node in ast.walk(function)}
    return sum(bool(packages_of(node) & SLOW_TO_LOAD) for node in statements)


def test_imports_stand_on_top_unless_they_are_listed() -> None:
    found = {names(path): inner_imports(path) for path in FILES}
    listed: dict[str, int] = EXEMPTIONS["inner_imports"]
    grown = {name: number for name, number in found.items() if number > listed.get(name, 0)}
    assert not grown, f"more imports in functions than exemptions.toml lists, move them to the top: {grown}"
    gone = {name: found.get(name, 0) for name in listed if found.get(name, 0) < listed[name]}
    assert not gone, f"fewer imports in functions than exemptions.toml lists, lower its numbers to these: {gone}"


# ---------------------------------------------------------------------------------------------------------------------
# what files may name


@pytest.mark.parametrize("path", ALGORITHMS, ids=names)
def test_algorithm_files_name_no_device(path: Path) -> None:
    for node in ast.walk(tree(path)):
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
        if any(isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"} for n in ast.walk(tree(path)))
    ]
    assert readers == ["ssl_aug/runtime.py"]


# ---------------------------------------------------------------------------------------------------------------------
# commands


def test_the_commands_are_found() -> None:
    assert {"ssl_aug.generate", "ssl_aug.export", "ssl_aug.pretrain", "benchmarks.run"} <= set(COMMANDS)


@pytest.mark.parametrize("module", COMMANDS)
def test_help_comes_at_once_and_imports_nothing_slow(module: str) -> None:
    """Processor time, so that a busy machine does not count; of two starts, since the first may compile the files."""
    code = (
        "import json, resource, runpy, sys\n"
        "module, sys.argv = sys.argv[1], [sys.argv[1], '--help']\n"
        "try:\n"
        "    runpy.run_module(module, run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "slow = sorted({'torch', 'diffusers', 'scipy', 'sklearn', 'hydra'} & sys.modules.keys())\n"
        "print(json.dumps([used.ru_utime + used.ru_stime, slow]))\n"
    )
    seconds = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        *said, last = done.stdout.splitlines()
        assert f"python -m {module}" in "\n".join(said)
        used, slow = json.loads(last)
        assert slow == [], f"--help needs none of {slow}"
        seconds.append(used)
    assert min(seconds) < HELP_SECONDS


# ---------------------------------------------------------------------------------------------------------------------
# length and docstrings


def assert_listed(what: str, lengths: dict[str, int], limit: int) -> None:
    """Whatever is over the limit is listed with a reason, and nothing else is."""
    listed = EXEMPTIONS[what]
    over = {name: length for name, length in lengths.items() if length > limit}
    lacking = {name: length for name, length in over.items() if name not in listed}
    assert not lacking, f"over {limit} lines: shorten, or give exemptions.toml a reason under {what}: {lacking}"
    needless = {name: lengths.get(name, "is not there") for name in listed.keys() - over.keys()}
    assert not needless, f"not over {limit} lines: delete from exemptions.toml under {what}: {needless}"
    assert all(reason.strip() for reason in listed.values())


def test_long_files_give_a_reason() -> None:
    lengths = {names(path): len(path.read_text().splitlines()) for path in FILES}
    assert_listed("long_files", lengths, MOST_LINES_OF_A_FILE)


def test_long_functions_give_a_reason() -> None:
    lengths: dict[str, int] = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                name = f"{names(path)} {node.name}"
                lengths[name] = max(lengths.get(name, 0), (node.end_lineno or node.lineno) - node.lineno + 1)
    assert_listed("long_functions", lengths, MOST_LINES_OF_A_FUNCTION)


def test_every_public_function_has_a_docstring() -> None:
    lacking = [
        f"{names(path)}:{node.lineno} {node.name}"
        for path in FILES
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not ast.get_docstring(node) and len(node.body) > 3
    ]
    assert lacking == []
