"""The documents say what is there: links, modules, scripts."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SCRIPTS = sorted((RESULTS / "scripts").glob("*.py"))
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
MODULE = re.compile(r"python -m ([\w.]*\w)|-m ((?:ssl_aug|benchmarks)(?:\.\w+)+)")
EXAMPLE_FOLDER = "/tmp/cars"  # where docs/plug_in.md writes its exports
OWN_MACHINE = re.compile(rf"(?<![\w.~-])(?!{EXAMPLE_FOLDER}\b)/(?:work|tmp|root)\b[\w./-]*")


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(script: Path) -> ModuleType:
    """A program of docs/results/scripts, imported."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(document: Path) -> set[str]:
    """The headings of a document as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    """The relative links of a document that lead nowhere."""
    broken = []
    for target, anchor in LINK.findall(document.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        file = document.parent / target if target else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{target}#{anchor}" if anchor else target)
    return broken


def missing_modules(text: str) -> set[str]:
    """The modules that a text runs with `python -m` and that cannot be run."""
    missing = set()
    for module in {first or second for first, second in MODULE.findall(text)}:
        try:
            spec = importlib.util.find_spec(module)
            if spec is not None and spec.submodule_search_locations is not None:  # a package runs its __main__
                spec = importlib.util.find_spec(f"{module}.__main__")
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            missing.add(module)
    return missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    assert broken_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_module_that_a_document_runs_is_there(document: Path) -> None:
    assert missing_modules(document.read_text()) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_no_document_names_a_path_of_the_machine_it_was_written_on(document: Path) -> None:
    assert OWN_MACHINE.findall(document.read_text()) == []


def test_what_the_checks_are_made_to_find_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One heading (2 seeds)\n[a](page.md) [b](#one-heading-2-seeds) [c](https://example.org/none) "
        "[d](gone.md) [e](page.md#gone)\n"
    )
    assert broken_links(page) == ["gone.md", "page.md#gone"]
    text = "python -m ssl_aug.tune, torchrun -m ssl_aug.gone, python -m benchmarks.also_gone.\npython -m generators"
    assert missing_modules(text) == {"ssl_aug.gone", "benchmarks.also_gone", "generators"}
    own = [str(Path("/", *parts)) for parts in (("tmp", "mine"), ("work", "mine"), ("root", "x"))]
    text = f"{EXAMPLE_FOLDER}/test.txt {own[0]} {own[1]} data/work/x https://example.org/work ({own[2]})"
    assert OWN_MACHINE.findall(text) == own


def test_the_index_of_the_results_fits_one_screen() -> None:
    assert len((RESULTS / "README.md").read_text().splitlines()) <= 60


def test_the_index_of_the_results_names_every_page() -> None:
    linked = {target for target, _ in LINK.findall((RESULTS / "README.md").read_text())}
    assert {page.name for page in RESULTS.glob("*.md")} - {"README.md"} <= linked


@pytest.mark.parametrize("script", SCRIPTS, ids=names)
def test_every_script_of_the_results_imports_and_waits_to_be_run(script: Path) -> None:
    assert callable(module_of(script).main)
    assert script.read_text().endswith('if __name__ == "__main__":\n    main()\n')


def test_every_script_of_the_results_stands_in_a_page_and_is_there() -> None:
    text = "\n".join(page.read_text() for page in RESULTS.glob("*.md"))
    named = set(re.findall(r"docs/results/scripts/(\w+)\.py", text)) - {"NAME"}
    assert named == {script.stem for script in SCRIPTS}
