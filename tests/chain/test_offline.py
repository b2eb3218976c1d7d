"""The whole chain without a network: nothing is asked of one, from the weights of the package to an export."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run import main as benchmark
from benchmarks.table import main as table
from ssl_aug import evaluate, generate, tune
from ssl_aug.export.__main__ import main as export
from ssl_aug.files import read_json
from ssl_aug.synthetic import SyntheticSet
from tests.conftest import write_image_folder

DATA = ["data=image_folder", "data.root=photos", "data.labels_per_class=1", "device=cpu", "precision=fp32"]
DRAWN = [*DATA, "generator=embedded", "condition=image", "tune.steps=1", "tune.batch_size=4",
         "steps=1", "sampler=dpmpp", "per_sample=2", "synthetic.root=set"]  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Addresses that anything asked for; the asking fails, as without a network."""
    addresses: list[object] = []

    def refuse(address: object, *_: Any, **__: Any) -> None:
        addresses.append(address)
        raise OSError("Network is unreachable")

    def connect(self: socket.socket, address: object) -> None:
        refuse(address)

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # nothing is to depend on a user who says so
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, connect)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return addresses


def test_the_chain_on_the_weights_of_the_package_asks_nothing_of_a_network(
    asked: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    tune.main([word for word in DRAWN if not word.startswith("synthetic")])
    generate.main(DRAWN)
    assert len(SyntheticSet.open(Path("set"))) == 6
    evaluate.main(["synthetic.root=set", "out=measures", *DATA[-2:]])
    train = ["method=erm", "model=embedded", "train.steps=1", "train.batch_size=4", "train.eval_every=1"]
    for augment in ("true", "false"):
        benchmark(["synthetic.root=set", f"augment={augment}", *train, *DATA[-2:]])
    table([])
    export(["--to", "folder", "--out", "augmented", "synthetic.root=set"])
    done = [read_json(path)["status"] for path in Path("outputs/runs").glob("*/result.json")]
    assert done == ["done", "done"] and Path("augmented/manifest.csv").is_file()
    assert asked == []


def test_the_test_sees_who_asks(asked: list[object]) -> None:
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("example.org", 80))
    with socket.socket() as one, pytest.raises(OSError, match="unreachable"):
        one.connect(("192.0.2.1", 80))
    assert asked == [("example.org", 80), ("192.0.2.1", 80)]
