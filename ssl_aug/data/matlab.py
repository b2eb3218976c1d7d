"""Lists of a dataset in MATLAB files, with errors that name the file and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from ssl_aug.data.layout import required


def read_mat(path: Path, variable: str, expected: str) -> Any:
    """One variable of a MATLAB file, as an array of one dimension or more.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or does not hold the variable.
    """
    required(path, expected)
    try:
        content = loadmat(path, squeeze_me=True)
    except OSError:
        raise
    except Exception as error:  # scipy raises what its parser stumbles on: TypeError, zlib.error, MatReadError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is damaged or no MATLAB file ({reason}): copy it again from its source") from error
    if variable not in content:
        raise ValueError(f"{path} holds no {variable}: it is another file than {expected}; copy that one there")
    return np.atleast_1d(content[variable])
