"""Ctrl-C and SIGTERM: whenever they come, one line and exit code 130; what is saved is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssl_aug.interrupts import interrupts_deferred, is_our_command, raised_in_main

ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_a_signal_waits_for_the_end_of_the_step_and_a_second_one_does_not(number: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_deferred() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@BOTH
def test_work_that_changes_nothing_ends_at_once(number: signal.Signals) -> None:
    with interrupts_deferred() as interrupted:
        with pytest.raises(KeyboardInterrupt), interrupted.at_once():
            os.kill(os.getpid(), number)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt), interrupted.at_once():
            raise AssertionError("a signal that came before is not forgotten")
    with interrupts_deferred() as interrupted, interrupted.at_once(False):
        os.kill(os.getpid(), number)
        assert interrupted()


@pytest.mark.parametrize(
    ("words", "is_ours"),
    [
        ("-m ssl_aug.generate --per-sample 10", True),
        ("-u -X faulthandler -W error -m benchmarks.run", True),
        ("/usr/bin/ssl-aug generate", True),
        ("train.py -m ssl_aug.generate", False),
        ("-c pass -m ssl_aug.generate", False),
        ("-m pytest -m slow", False),
        ("-m", False),
        ("", False),
    ],
)
def test_only_our_own_commands_are_taken_hold_of(words: str, is_ours: bool) -> None:
    assert is_our_command(["python", *words.split()]) is is_ours


def test_what_is_ignored_stays_so() -> None:
    """A command behind nohup, or a shell's &, is not to end by a Ctrl-C that means another."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_deferred() as interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            assert not interrupted()
        with raised_in_main("interrupted"):
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


def start(code: str) -> subprocess.Popen[str]:
    """A command in a process of its own, which has begun: it has printed a line."""
    head = "import os, signal, sys, time\nfrom ssl_aug import interrupts\nfrom ssl_aug.runtime import command\n"
    process = subprocess.Popen(
        [sys.executable, "-c", head + code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    _, said = process.communicate(timeout=60)
    return process.returncode, [line for line in said.splitlines() if line]


KEPT = ["interrupted: what is finished is kept, the same command goes on from there"]


@BOTH
def test_a_command_puts_things_in_order_and_says_one_line(number: signal.Signals, tmp_path: Path) -> None:
    code = f"""
def main(words):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        open({str(tmp_path / "in order")!r}, "w").close()
command(main)"""
    process = start(code)
    process.send_signal(number)
    assert ended(process) == (130, KEPT) and (tmp_path / "in order").is_file()


def test_a_second_signal_ends_the_putting_in_order() -> None:
    code = """
def main(words):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
command(main)"""
    process = start(code)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, KEPT)


def test_an_exception_that_gets_lost_ends_the_command_all_the_same() -> None:
    """Libraries catch everything in their imports; the run went on to its end."""
    code = """
interrupts.PATIENCE = 0.2
def main(words):
    try:
        print("begun", flush=True)
        time.sleep(60)
    except BaseException:
        time.sleep(60)
command(main)"""
    process = start(code)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, KEPT)


@pytest.mark.parametrize(
    "handled",
    ["except BaseException: raise ImportError('torch')", "except BaseException: sys.exit(1)", "finally: exec('')"],
)
def test_whatever_a_library_makes_of_it_it_was_an_interrupt(handled: str) -> None:
    """In its imports it may be another error; and Python remembers an interrupt that passed through exec()."""
    code = f"""
def main(words):
    print("begun", flush=True)
    try:
        exec("time.sleep(60)")
    {handled}
command(main)"""
    process = start(code)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, KEPT)


def has_taken_hold(pid: int) -> bool:
    """Whether a process catches SIGTERM, which Python by itself does not."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="it is read from /proc when a process takes hold of signals")
@pytest.mark.parametrize("module", ["ssl_aug.generate", "benchmarks.run"])
def test_from_its_first_imports_on_a_command_ends_in_one_line(module: str, tmp_path: Path) -> None:
    words = ["experiment=smoke", "device=cpu", "precision=fp32"]
    for moment in (0.0, 0.05, 0.3, 1.0):
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        while not has_taken_hold(process.pid):
            time.sleep(0.002)
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        code, said = ended(process)
        assert code == 130 and [line for line in said if "|" not in line][-1].startswith("interrupted: "), said
        assert "Traceback" not in "".join(said) and time.monotonic() - begun < 10
