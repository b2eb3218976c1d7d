"""Seeds, shards, precision and exit codes."""

import ctypes
import errno
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from ssl_aug import runtime
from ssl_aug.freed_memory import keep_freed_memory
from ssl_aug.runtime import has_bfloat16_units  # itself: the tests' guard takes its place in the module


def test_derived_seeds_are_fixed_for_all_time() -> None:
    assert (
        runtime.derived_seed(0, "c0/1.jpg", 3)
        == int.from_bytes(__import__("hashlib").sha256(b"0|c0/1.jpg|3").digest()[:8], "big") // 2
    )
    assert 0 <= runtime.derived_seed("x") < 2**63


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
        (
            {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_STEP": "2"},
            (2, 4),
        ),
        ({"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "3"}, (2, 4)),
    ],
)
def test_the_shard_comes_from_torchrun_or_slurm(
    environment: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert runtime.shard("slurm" if "SLURM_ARRAY_TASK_COUNT" in environment else None) == expected


@pytest.mark.parametrize(("rank", "count"), [("2", "2"), ("0", "0"), ("0", "two"), ("-1", "2")])
def test_a_rank_that_is_none_of_the_processes_is_named(rank: str, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", count)
    with pytest.raises(ValueError, match=f"RANK={rank}, WORLD_SIZE={count}: give ranks 0 to WORLD_SIZE - 1"):
        runtime.shard(None)


def test_a_slurm_array_with_gaps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "3")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "9")
    with pytest.raises(ValueError, match="array with gaps"):
        runtime.shard("slurm")


def test_a_slurm_array_is_of_seeds_unless_it_is_said_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ID": "1", "COUNT": "3", "MIN": "0"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert runtime.is_task_of_array()
    assert (runtime.shard(None), runtime.shard("slurm")) == ((0, 1), (1, 3))
    monkeypatch.delenv("SLURM_ARRAY_TASK_COUNT")
    with pytest.raises(ValueError, match="shard=slurm: this is no task of a Slurm array"):
        runtime.shard("slurm")


def test_an_account_without_a_home_caches_below_the_temporary_folder_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_entry(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", "")  # so that it is put back afterwards
    for name in ("HOME", "SSL_AUG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / f"ssl_aug-home-{os.getuid()}"
    for _ in range(2):
        assert runtime.cache_folder() == home / ".cache/ssl_aug"
    assert capsys.readouterr().err.count("this account has no home folder") == 1
    assert Path("~").expanduser() == home and home.is_dir()


@pytest.mark.parametrize("name", ["SSL_AUG_CACHE", "XDG_CACHE_HOME"])
def test_the_cache_knows_the_home_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_AUG_CACHE")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv(name, "~/kept")
    assert runtime.cache_folder() == Path("/home/me/kept" + ("/ssl_aug" if name == "XDG_CACHE_HOME" else ""))


def test_a_closed_pipe_ends_in_silence() -> None:
    code = "from ssl_aug.runtime import command\ncommand(lambda words: print('line\\n' * 99999))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 141)
    process.stderr.close()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("mask_rate=2:\n give less"), 2, "error: mask_rate=2: give less"),
        (FileNotFoundError("no such thing"), 2, "error: no such thing"),
        (PermissionError(errno.EACCES, "denied", "/a/b"), 2, "no permission to write or read /a/b"),
        (OSError(errno.ENOSPC, "full", "/a/b"), 2, "no space left on the disk of /a/b"),
        (KeyboardInterrupt(), 130, "the same command goes on"),
        (TypeError("of ours\n\nin two lines"), 1, "error: TypeError: of ours in two lines; this is a bug of ssl_aug"),
        (RuntimeError("x" * 9999), 1, "xxx...; this is a bug"),
        (RecursionError(), 1, "error: RecursionError: RecursionError; this is a bug"),
        (MemoryError(), 2, "error: out of memory: lower this"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 2, "error: out of memory: lower this"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), 2, "error: out of memory: lower this"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), 2, "error: out of memory: lower this"),
    ],
)
def test_exit_codes(error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(arguments: list[str]) -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        runtime.command(fails, memory="lower this")
    line = capsys.readouterr().err
    assert caught.value.code == code
    assert said in line
    assert line.count("\n") == 1


def test_torchrun_ends_with_the_same_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints its own report below ours, and in that what it finds in this file."""

    def fails(arguments: list[str]) -> None:
        raise ValueError("mask_rate=2: give less")

    report = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(report))
    with pytest.raises(SystemExit):
        runtime.command(fails)
    told = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file=str(report))
    assert told.message == "error: mask_rate=2: give less"


def test_debugging_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(arguments: list[str]) -> None:
        raise TypeError("a bug")

    monkeypatch.setenv("SSL_AUG_DEBUG", "1")
    with pytest.raises(TypeError):
        runtime.command(fails)


@pytest.mark.parametrize(("has_units", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_where_the_machine_has_units_for_it(
    has_units: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "has_bfloat16_units", has_bfloat16_units)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_units)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert runtime.placement("auto", "auto") == runtime.Placement(torch.device("cpu"), dtype)
    assert runtime.placement("cpu", "fp32").dtype == torch.float32  # what is named holds on any machine
    assert runtime.placement("cpu", "bf16").dtype == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_units)
    assert runtime.placement("auto", "auto") == runtime.Placement(torch.device("cuda", 0), dtype)


def test_precisions_that_a_cpu_does_not_compute_in_are_refused() -> None:
    with pytest.raises(ValueError, match="a CPU does not compute in it"):
        runtime.placement("cpu", "fp16")
    assert runtime.placement("cpu", "fp32").dtype == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="sees no GPU"):
        runtime.placement("cuda", "auto")


@pytest.mark.parametrize(("newest", "asked"), [(True, 2**30), (False, 2**25)])
def test_freed_memory_is_kept_as_far_as_the_c_library_allows(
    newest: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[int, int] = {}

    def mallopt(number: int, value: int) -> int:
        is_taken = newest or number == -1 or value <= 2**25
        held.update({number: value} if is_taken else {})
        return int(is_taken)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory()
    assert held == {-1: 2**31 - 1, -3: asked}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())  # of another C library
    keep_freed_memory()


def test_what_is_compiled_is_kept_below_our_cache_unless_somebody_chose_another_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "TORCHINDUCTOR_CACHE_DIR"
    monkeypatch.setenv(name, f"{tempfile.gettempdir()}/torchinductor_somebody")  # as PyTorch's import sets it
    assert runtime.keep_compiled() == runtime.cache_folder() / "inductor" == Path(os.environ[name])
    monkeypatch.setenv(name, str(tmp_path))
    assert runtime.keep_compiled() == tmp_path
