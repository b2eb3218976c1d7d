"""The console script `ssl-aug COMMAND ...`: each command is the module that `python -m` runs."""

from __future__ import annotations

import runpy
import sys
from difflib import get_close_matches

import ssl_aug
from ssl_aug.runtime import command

COMMANDS: dict[str, tuple[str, str]] = {  # name -> its module and what it does
    "generate": ("ssl_aug.generate", "draw synthetic images from each labeled image: the main job"),
    "tune": ("ssl_aug.tune", "adapt the generator to the training images; generate does it by itself"),
    "evaluate": ("ssl_aug.evaluate", "measure synthetic images"),
    "speed": ("ssl_aug.speed", "measure how fast this machine is, and how long the paper's run takes on it"),
    "report": ("ssl_aug.report", "write a page to look at a set, its runs and its tuning"),
    "export": ("ssl_aug.export", "write the augmented labeled set for another codebase"),
    "import-set": ("ssl_aug.import_set", "take in images that another program made"),
    "convert": ("ssl_aug.convert", "turn the published checkpoint into a folder"),
    "pretrain": ("ssl_aug.pretrain", "make the embedded world's models again"),
    "benchmark": ("benchmarks.run", "train one method, with or without synthetic images"),
    "table": ("benchmarks.table", "print the accuracies of finished runs"),
}


def dispatch(words: list[str]) -> None:
    """Runs the command that the first word names, with the others.

    Raises:
        ValueError: there is no such command.
    """
    name = words[0] if words else "--help"
    if name in ("--help", "-h"):
        rows = [f"  {each:<12}{what}" for each, (_, what) in COMMANDS.items()]
        print("\n".join(["ssl-aug COMMAND [--help] ...", "", *rows, "", "Each is short for:"]))
        print("\n".join(f"  {each:<12}python -m {module}" for each, (module, _) in COMMANDS.items()))
        return
    if name == "--version":
        print(f"ssl-aug {ssl_aug.__version__}")
        return
    if name not in COMMANDS:
        close = get_close_matches(name.replace("_", "-"), COMMANDS, n=1)
        way = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(COMMANDS)}"
        raise ValueError(f"{name}: there is no such command, {way}")
    sys.argv = [f"ssl-aug {name}", *words[1:]]
    runpy.run_module(COMMANDS[name][0], run_name="__main__", alter_sys=True)


def main() -> None:
    """The console script."""
    command(dispatch)
