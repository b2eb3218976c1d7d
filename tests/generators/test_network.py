"""Whether the hub can be asked is found out within seconds, in a process of its own: libraries read it at import."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

ASKS = "from generators.network import *; from huggingface_hub import constants; \
print(may_fetch(), constants.HF_HUB_OFFLINE, how_to_fetch(), sep='|')"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def asked(**environment: str) -> list[str]:
    plain = {name: value for name, value in os.environ.items() if name not in (*PROXIES, "HF_HUB_OFFLINE")}
    run = subprocess.run(
        [sys.executable, "-c", ASKS], env={**plain, **environment}, capture_output=True, text=True, check=True
    )
    return run.stdout.strip().split("|")


def test_a_hub_that_takes_connections_may_be_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        allowed, offline, _ = asked(HF_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}")
    assert (allowed, offline) == ("True", "False")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://hub.invalid"])
def test_one_that_does_not_is_left_alone_within_seconds_and_libraries_are_told(endpoint: str) -> None:
    start = time.monotonic()
    allowed, offline, why = asked(HF_ENDPOINT=endpoint)
    assert (allowed, offline) == ("False", "True")
    assert why == f"{endpoint} does not answer: run again where there is a network"
    assert time.monotonic() - start < 20  # a library of the hub's would try for most of a minute


def test_what_the_user_said_holds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        allowed, _, why = asked(HF_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}", HF_HUB_OFFLINE="1")
    assert (allowed, why) == ("False", "HF_HUB_OFFLINE=1 is set: leave it out to have them fetched")


def test_behind_a_proxy_it_is_the_proxy_that_knows() -> None:
    allowed, offline, _ = asked(HF_ENDPOINT="http://hub.invalid", https_proxy="http://127.0.0.1:9")
    assert (allowed, offline) == ("True", "False")
