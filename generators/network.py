"""Whether weights can be fetched from the hub, found out within seconds."""

from __future__ import annotations

import socket
import threading
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants

SECONDS = 3.0  # that the hub has to take a connection


@cache
def may_fetch() -> bool:
    """Whether the hub may be asked, and takes connections; asked once in a process.

    Where it does not, the libraries that fetch are told so: each would try for most of a minute.
    """
    if not constants.HF_HUB_OFFLINE and not getproxies() and not _answers(constants.ENDPOINT):
        constants.HF_HUB_OFFLINE = True
        _unreachable.append(constants.ENDPOINT)
    return not constants.HF_HUB_OFFLINE


def how_to_fetch() -> str:
    """What is said where `may_fetch` is false: what keeps the files from being fetched, and the way out."""
    if _unreachable:
        return f"{_unreachable[0]} does not answer: run again where there is a network"
    return "HF_HUB_OFFLINE=1 is set: leave it out to have them fetched"


_unreachable: list[str] = []


def _answers(address: str) -> bool:
    """Whether a server takes a connection in time. The name's look-up has no limit of its own: it is left behind."""
    parts = urlsplit(address)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    found: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection((parts.hostname or "", port), timeout=SECONDS).close()
            found.append(True)
        except OSError:
            found.append(False)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return bool(found) and found[0]
