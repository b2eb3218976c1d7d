"""The commands in the documents are taken as they stand: every setting, value and flag in them is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.grid_plan import combinations_of
from benchmarks.run import settings_from
from benchmarks.settings import BenchmarkSettings
from ssl_aug.command_line import compose, refuse_accidental_toy
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.export.settings import ExportSettings
from ssl_aug.importing.settings import ImportSettings
from ssl_aug.pretrain.settings import PretrainSettings
from ssl_aug.reporting.settings import ReportSettings
from ssl_aug.settings import Settings
from ssl_aug.speeds.settings import SpeedSettings
from ssl_aug.words import overrides_of, settled
from tests.repository.test_documents import DOCUMENTS, names

SCHEMAS = {
    "generate": Settings, "tune": Settings, "evaluate": EvaluateSettings, "export": ExportSettings,
    "import_set": ImportSettings, "pretrain": PretrainSettings, "report": ReportSettings, "speed": SpeedSettings,
}  # fmt: skip
MODULES = {"export": "ssl_aug.export.__main__"}
OF_THE_READER = ("method=margin", "generator=mirror")  # what two pages tell the reader to write
DRAWS = ("generate", "tune")  # never with the embedded weights where they are not asked for
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"ssl_aug\.(\w+)|(benchmarks\.run)")
_OTHERS = rf" \.\.\.|.* (?:{'|'.join(OF_THE_READER)})"  # dots: a usage line
LINE = re.compile(rf"^[^#\n]*-m (?:ssl_aug\.\w+|benchmarks\.run)\b(?!{_OTHERS})", re.MULTILINE)
# the shell finds no program but this one, which writes down what it is given
RECORDER = """#!/bin/bash
printf '%s\\x1f' "$@" >> "$RECORD"; printf '\\n' >> "$RECORD"
"""


def blocks_of(text: str) -> list[str]:
    """The code blocks of a document that a shell is to run, without prompts."""
    blocks = [re.sub(r"^ *\$ ", "", block, flags=re.MULTILINE) for block in BLOCK.findall(text)]
    return [block for block in blocks if LINE.search(block)]


def commands_in(text: str, folder: Path) -> list[tuple[str, list[str]]]:
    """(command, words) as a shell gives them that runs the code blocks of a document, loops and variables included."""
    program, record = folder / "programs" / "python", folder / "record"
    program.parent.mkdir()
    program.write_text(RECORDER)
    program.chmod(0o755)
    record.touch()
    for name in ("torchrun", "srun"):
        (program.parent / name).symlink_to(program)
    script = "\n".join(["exit() { :; }", *(f"eval {shlex.quote(block)}" for block in blocks_of(text))])
    environment = {"PATH": str(program.parent), "RECORD": str(record), "SLURM_ARRAY_TASK_ID": "0"}
    subprocess.run(
        ["/bin/bash", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=60, check=False
    )
    found = []
    for line in record.read_text().splitlines():
        words = line.split("\x1f")[:-1]
        match = next((match for match in map(COMMAND.fullmatch, words) if match), None)
        if match is not None and not {"...", *OF_THE_READER} & set(words):
            found.append((match[1] or match[2], words[words.index(match[0]) + 1 :]))
    return found


def accept(name: str, words: list[str]) -> None:
    """Raises ValueError where the command would refuse its words before it looks at data."""
    if name == "benchmarks.run":
        ours = [word for word in words if not word.startswith(("--multirun", "--dry-run", "hydra"))]
        ours = [word.partition(",")[0] if word.startswith("seed=") else word for word in ours]  # one is as the others
        for combination in combinations_of(settled(ours, BenchmarkSettings, of_grid=True)):
            settings_from(combination)
        return
    module = import_module(MODULES.get(name, f"ssl_aug.{name}"))
    if name == "import_set":
        said = module.overrides(words)
    else:
        said = overrides_of(words, getattr(module, "FLAGS", {}), getattr(module, "SWITCHES", {}))
    settings: Any = compose(name, said, SCHEMAS[name])
    if name in DRAWS:
        refuse_accidental_toy(settings.data.name, settings.generator.name, said)


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_command_of_a_document_is_taken(document: Path, tmp_path: Path) -> None:
    refused, text = [], document.read_text()
    commands = commands_in(text, tmp_path)
    assert len(commands) >= sum(len(LINE.findall(block)) for block in blocks_of(text)), "the shell did not run all"
    for name, words in commands:
        try:
            accept(name, words)
        except ValueError as error:
            refused.append(f"{name} {' '.join(words)}: {error}")
    assert refused == []


def test_a_wrong_word_in_a_loop_is_found(tmp_path: Path) -> None:
    page = """```
N="--per-sample 2"
for s in 3 x; do
    python -m ssl_aug.generate $N data.split_seed=$s \\
        steps=4   # few
done
```"""
    first, second = commands_in(page, tmp_path)
    assert first == ("generate", ["--per-sample", "2", "data.split_seed=3", "steps=4"])
    accept(*first)
    with pytest.raises(ValueError, match=r"data\.split_seed=x"):
        accept(*second)
