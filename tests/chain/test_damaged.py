"""Files of ours that were damaged: one line that names the file and the way out, or the work goes on as it should."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.run import main as benchmark
from benchmarks.table import main as table
from ssl_aug.export.__main__ import main as export
from ssl_aug.generate import main as generate
from ssl_aug.runtime import command
from tests.conftest import write_image_folder

Command = Callable[[list[str]], None]
Words = dict[str, list[str]]
Damage = Callable[[bytes], bytes]

DAMAGES: dict[str, Damage] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "all but the last byte": lambda content: content[:-1],
    "a flipped bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "zeros": lambda content: bytes(len(content)),
    "a web page": lambda content: b"<!DOCTYPE html>\n<html><body>404</body></html>",
    "a list": lambda content: b"[1, 2, 3]",
    "an object": lambda content: b'{"settings": 3, "approach": 7, "status": [], "name": null}',
    "text": lambda content: "so war das nicht gedacht \u00e4\u00f6\u00fc\n".encode("latin-1"),
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> tuple[Path, Words]:
    """A folder with a set, its tuning stopped half-way beside the finished one, and a run; and the words of each."""
    root = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("SSL_AUG_CACHE", str(root / "cache"))
        write_image_folder(root / "photos", train=4, test=2)
        words = [
            "data=image_folder", "data.root=photos", "generator=ldm", f"generator.checkpoint={tiny_checkpoint}",
            "tune.steps=2", "tune.batch_size=2", "tune.save_every=1", "steps=2", "sampler=dpmpp", "per_sample=2",
            "device=cpu", "precision=fp32", "tune.root=tuned",
        ]  # fmt: skip
        generate([*words, "--out", "set"])
        small = ["model=tiny", "train.steps=2", "train.batch_size=4", "train.eval_every=1", "runs=runs"]
        trained = ["synthetic.root=set", "augment=true", *small, "device=cpu", "precision=fp32"]
        benchmark(trained)
    return root, {"generate": words, "train": trained}


@pytest.fixture
def here(chain: tuple[Path, Words], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Words:
    """A copy of that folder to damage, as the working folder; the words."""
    shutil.copytree(chain[0], tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "copy" / "cache"))
    return chain[1]


def ended(
    main: Command,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    """Exit code, and the line of an error; any exception that is none of a person's mistakes gets through."""
    monkeypatch.setattr("sys.argv", ["command", *words])
    try:
        command(main)
    except SystemExit as error:
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, lines
        return int(error.code or 0), lines[0]
    return 0, ""


# which file, and the command that reads it: words, or a function of the words
READERS: dict[str, tuple[str, Command, Callable[[Words], list[str]]]] = {
    "adapter": ("tuned/*/adapter_*.safetensors", generate, lambda w: [*w["generate"], "--out", "other"]),
    "adapter's facts": ("tuned/*/adapter_*.json", generate, lambda w: [*w["generate"], "--out", "other"]),
    "checkpoint": ("tuned/*/checkpoint.pt", generate, lambda w: [*w["generate"], "tune.steps=3", "--out", "other"]),
    "latents": ("cache/encodings-*/latents.npy", generate, lambda w: [*w["generate"], "tune.root=new", "--out", "o"]),
    "tokens": ("cache/encodings-*/tokens.npy", generate, lambda w: [*w["generate"], "tune.root=new", "--out", "o"]),
    "record": ("set/generator.json", export, lambda w: ["synthetic.root=set", "--to", "folder", "--out", "exported"]),
    "manifest": ("set/manifest.csv", export, lambda w: ["synthetic.root=set", "--to", "folder", "--out", "exported"]),
    "state": ("runs/*/last.safetensors", benchmark, lambda w: ["resume=runs/0001-erm-augment"]),
    "settings": ("runs/*/config.yaml", benchmark, lambda w: ["resume=runs/0001-erm-augment"]),
    "result": ("runs/*/result.json", benchmark, lambda w: ["resume=runs/0001-erm-augment"]),
    "log": ("runs/*/log.csv", benchmark, lambda w: ["resume=runs/0001-erm-augment"]),
    "result in a table": ("runs/*/result.json", table, lambda w: ["--runs", "runs"]),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_named_or_does_no_harm(
    reader: str,
    damage: str,
    here: Words,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pattern, main, words = READERS[reader]
    (path,) = Path().glob(pattern)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    code, line = ended(main, words(here), monkeypatch, capsys)
    if code:
        assert code == 2 and path.name in line and len(line) < 500, line
        assert any(word in line for word in ("remove", "restore", "anew", "again", "fetch the file")), line
    elif damage not in ("a flipped bit", "all but the last byte"):  # such damage may hit what nobody reads
        assert reader in ("log", "result in a table"), f"{reader} was read as if it were whole"
