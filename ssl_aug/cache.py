"""Where files are kept between runs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from generators.allowed import user_path


def cache_folder() -> Path:
    """$SSL_AUG_CACHE, else the user's cache folder."""
    settle_home()
    chosen = os.environ.get("SSL_AUG_CACHE")
    return user_path(chosen or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/ssl_aug")


def keep_compiled() -> Path:
    """Where PyTorch keeps what it compiled, for later processes: $TORCHINDUCTOR_CACHE_DIR, else below our cache."""
    given = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    of_pytorch = Path(tempfile.gettempdir()) / "torchinductor_"  # and the user's name: set by its import
    if given is None or given.startswith(str(of_pytorch)):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache_folder() / "inductor")
    return Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])


def settle_home() -> None:
    """An account without a home folder gets one below the temporary folder, for our cache and other libraries'."""
    try:
        Path.home()
    except RuntimeError:
        folder = Path(tempfile.gettempdir()) / f"ssl_aug-home-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise ValueError(f"this account has no home folder, and {folder} is another's: set HOME") from None
        os.environ["HOME"] = str(folder)
        os.environ.setdefault("USER", str(os.getuid()))  # libraries ask for a name, and there is none either
        print(
            f"this account has no home folder: caches lie in {folder}, or in $SSL_AUG_CACHE, $HF_HOME", file=sys.stderr
        )
