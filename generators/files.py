"""A folder whole or not at all."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` when the block ends well and is gone when it does not.

    It lies beside `folder` under a hidden name of its own, so that processes that write the same one do not meet.

    Raises:
        FileExistsError: something was at `folder` before, or came there meanwhile; it is left as it is.
    """
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists already: nothing is overwritten")
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        yield part
        _rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _rename(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise FileExistsError(f"{folder} was made by another process meanwhile: it is left as it is") from error
