"""The command that a folder was made with, where the folder says it."""

from __future__ import annotations

from pathlib import Path

from ssl_aug.tables import read_text

COMMAND = "command.txt"  # one line for a shell


def command_of(folder: Path) -> str | None:
    """The line in a folder's command.txt; None where there is no such file, or nothing in it.

    Raises:
        ValueError: it is no text.
    """
    path = folder / COMMAND
    return (read_text(path, "take it away").strip() or None) if path.is_file() else None
