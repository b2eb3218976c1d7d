"""One process at a time in a folder: who holds a lock, who is gone, and who takes over."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ssl_aug import lock as lock_module
from ssl_aug import lock_file, owner
from ssl_aug.lock import LOCK, InOtherHandsError, forget_dead, is_held, locked, locked_beside, remove_leftovers
from ssl_aug.owner import Owner, read_owner, this_process
from tests.conftest import in_other_hands, leave_lock

ELSEWHERE = replace(this_process("drawing into"), host="far", boot="another", pid=123)


def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def pid_in(lock: Path) -> int:
    """The process that a lock names."""
    owner = read_owner(lock)
    assert owner is not None
    return owner.pid


def put(folder: Path, held_by: Owner, seconds_ago: float = 0.0) -> Path:
    """A lock that another process left, touched for the last time so long ago."""
    folder.mkdir(exist_ok=True)
    lock = folder / LOCK
    lock.write_text(held_by.as_json)
    os.utime(lock, (time.time() - seconds_ago,) * 2)
    return lock


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is watched for longer than an instant."""
    monkeypatch.setattr(lock_file, "WATCHED_SECONDS", 0.03)
    monkeypatch.setattr(lock_module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(lock_module, "SHORT_SECONDS", 0.0)


def test_a_lock_lies_in_its_folder_and_is_gone_after_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with locked(folder, "drawing into"):
        assert json.loads((folder / LOCK).read_text())["pid"] == os.getpid()
        assert is_held(folder)
        (folder / "image.png").touch()
    assert [path.name for path in folder.iterdir()] == ["image.png"]
    with pytest.raises(KeyboardInterrupt), locked(folder, "drawing into"):
        raise KeyboardInterrupt
    assert not is_held(folder)


def test_a_folder_that_stays_empty_is_taken_away_again_and_no_other(tmp_path: Path) -> None:
    with locked(tmp_path / "new", "drawing into"):
        pass
    (tmp_path / "old").mkdir()
    with locked(tmp_path / "old", "drawing into"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_thread_may_enter_again_and_another_may_not(tmp_path: Path) -> None:
    said: list[str] = []

    def enter() -> None:
        try:
            with locked(tmp_path, "training in"):
                pytest.fail("two are in it")
        except InOtherHandsError as error:
            said.append(str(error))

    with locked(tmp_path, "drawing into"):
        with locked(tmp_path, "measuring in"):
            pass
        assert is_held(tmp_path)  # the inner block leaves the outer one's lock
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(said) == 1


def test_who_is_at_work_is_named_with_the_way_out(tmp_path: Path) -> None:
    alive = this_process("drawing into")
    put(tmp_path, alive, seconds_ago=10**6)  # it is seen to run, whatever its file says: it may be suspended
    line = f"process {os.getpid()} on {alive.host} has been drawing into {tmp_path} since {alive.began}: wait until"
    with pytest.raises(InOtherHandsError, match=re.escape(line)), locked(tmp_path, "training in"):
        pass
    assert is_held(tmp_path)


@pytest.mark.parametrize(
    "gone",
    [
        lambda: replace(this_process("drawing into"), pid=ended()),
        lambda: replace(this_process("drawing into"), start="1"),  # its number came again
    ],
)
def test_a_dead_process_of_this_machine_is_followed_at_once(
    gone: Callable[[], Owner], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = gone()
    put(tmp_path, dead)
    assert not is_held(tmp_path)
    with locked(tmp_path, "drawing into"):
        assert json.loads((tmp_path / LOCK).read_text())["token"] != dead.token
        assert len(list(tmp_path.iterdir())) == 1  # no claim is left
    assert capsys.readouterr().err == f"taking over {tmp_path} from {dead}, which is gone\n"


def test_a_process_that_has_ended_and_was_not_noticed_is_gone(tmp_path: Path) -> None:
    code = "import os, sys\npid = os.fork()\nif not pid: os._exit(0)\nprint(pid, flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        zombie = int(parent.stdout.readline())
        while owner.start_of(zombie) != "":
            time.sleep(0.01)
        assert owner.is_running(replace(this_process("drawing into"), pid=zombie)) is False
        parent.communicate("")


def test_a_process_elsewhere_is_dead_when_its_lock_is_old(
    soon: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, ELSEWHERE, seconds_ago=lock_file.DEAD_SECONDS + 1)
    assert is_held(tmp_path)  # as far as can be seen at once
    with locked(tmp_path, "drawing into"):
        pass
    assert f"taking over {tmp_path} from process 123 on far, which is gone" in capsys.readouterr().err


def test_a_process_in_another_container_is_dead_sooner(
    soon: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    container = replace(this_process("drawing into"), pid_namespace="pid:[1]")
    put(tmp_path, container, seconds_ago=lock_file.DEAD_SECONDS_HERE + 1)
    with locked(tmp_path, "drawing into"):
        assert pid_in(tmp_path / LOCK) == os.getpid()
    assert f"taking over {tmp_path} from process" in capsys.readouterr().err


@pytest.mark.parametrize("seconds_ago", [0, 20, 10**6])
def test_a_process_elsewhere_lives_as_soon_as_its_lock_is_touched(
    seconds_ago: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = put(tmp_path, ELSEWHERE, seconds_ago)  # this machine may have slept with the other
    monkeypatch.setattr(lock_module, "POLL_SECONDS", 0.02)
    beat = threading.Timer(0.1, os.utime, [lock])
    beat.start()
    with pytest.raises(InOtherHandsError, match="process 123 on far"), locked(tmp_path, "drawing into"):
        pass
    beat.join()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_torn_lock_is_another_process_until_it_is_old(
    content: str, soon: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOCK).write_text(content)
    assert is_held(tmp_path)
    old = threading.Timer(0.1, os.utime, [tmp_path / LOCK, (0, 0)])
    old.start()
    with locked(tmp_path, "drawing into", wait=True):
        pass
    assert "waiting for another process, which is at work in" in capsys.readouterr().err


def test_who_waits_says_so_and_comes_in_afterwards(
    soon: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = threading.Event()
    order: list[str] = []

    def first() -> None:
        with locked(tmp_path, "tuning"):
            inside.set()
            time.sleep(0.1)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with locked(tmp_path, "tuning", wait=True):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == f"waiting for {this_process('')}, which is tuning {tmp_path}\n"


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_find_a_dead_lock_at_once_one_is_in_at_a_time(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    put(tmp_path, replace(this_process("tuning"), pid=ended()))
    together, inside, most = threading.Barrier(5), [0], [0]

    def enter() -> None:
        together.wait(10)
        with locked(tmp_path, "tuning", wait=True):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert capsys.readouterr().err.count("taking over") == 1
    assert list(tmp_path.iterdir()) == []


def test_who_is_slow_to_take_over_finds_the_lock_of_who_was_faster(tmp_path: Path) -> None:
    lock = put(tmp_path, replace(this_process("tuning"), pid=ended()))
    found = lock_file.look(lock)
    first, second = this_process("tuning"), this_process("tuning")
    assert lock_file.take_over(lock, found, first, time.time())
    assert not lock_file.take_over(lock, found, second, time.time())
    assert lock_file.token_of(lock) == first.token


def test_a_claim_of_a_process_that_was_killed_does_not_last(tmp_path: Path) -> None:
    dead = replace(this_process("tuning"), pid=ended())
    lock = put(tmp_path, dead)
    claim = lock.with_name(f"{LOCK}.{dead.token}")
    claim.write_text(dead.as_json)
    os.utime(claim, (0, 0))
    with locked(tmp_path, "tuning"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_touched_and_put_back_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.01)
    with locked(tmp_path, "drawing into"):
        lock = tmp_path / LOCK
        os.utime(lock, (0, 0))
        while lock.stat().st_mtime == 0:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 0
        lock.unlink()
        while not lock.exists():
            time.sleep(0.01)
        assert pid_in(lock) == os.getpid()
    assert not lock.exists()


@pytest.mark.parametrize("happens", ["taken over", "removed"])
def test_who_has_lost_the_lock_says_so_and_stops(
    happens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock_module, "BEAT_SECONDS", 0.01)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), locked(folder, "training in"):
        if happens == "removed":
            folder.rename(tmp_path / "elsewhere")
        else:
            fresh = tmp_path / "fresh"
            fresh.write_text(ELSEWHERE.as_json)
            fresh.replace(folder / LOCK)
        time.sleep(10)
    said = f"{folder} was removed" if happens == "removed" else f"{folder} was taken over by process 123 on far"
    assert capsys.readouterr().err == f"{said}: this process stops\n"
    if happens == "taken over":
        assert (folder / LOCK).read_text() == ELSEWHERE.as_json


def test_half_written_files_of_killed_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    ours = [".last.safetensors.0123456789abcdef.part", ".result.json.4711.part"]  # the second as once named
    theirs = ["download.part", ".hidden", ".notes.txt.part"]
    for name in [*ours, *theirs]:
        (tmp_path / name).touch()
    with locked(tmp_path, "drawing into", part="1-of-2"):
        assert (tmp_path / ours[0]).exists()  # another part's, perhaps
        with pytest.raises(InOtherHandsError):
            refused_in_thread(tmp_path)
        assert (tmp_path / ours[0]).exists()
    with locked(tmp_path, "drawing into"):
        assert {path.name for path in tmp_path.iterdir()} == {*theirs, LOCK}


def test_locks_of_killed_processes_are_removed_by_who_is_alone_in_the_folder(tmp_path: Path) -> None:
    leave_lock(tmp_path, "drawing into", is_alive=False, name=f".0-of-2{LOCK}")
    (tmp_path / "uv.lock").touch()  # somebody else's
    with locked(tmp_path, "drawing into"):
        assert {path.name for path in tmp_path.iterdir()} == {LOCK, "uv.lock"}
        with in_other_hands(tmp_path, "1-of-2"):
            assert not remove_leftovers(tmp_path)
        assert remove_leftovers(tmp_path)


def refused_in_thread(folder: Path) -> None:
    """Enters the same part's block in another thread, and raises what comes of it."""
    caught: list[InOtherHandsError] = []

    def enter() -> None:
        try:
            with locked(folder, "drawing into"):
                pass
            with locked(folder, "drawing into", part="1-of-2"):
                pass
        except InOtherHandsError as error:
            caught.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    raise caught[0]


def test_what_is_not_there_yet_is_locked_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "cars"
    with locked_beside(out, "exporting to"):
        assert not out.exists()
        assert [path.name for path in out.parent.iterdir()] == [".cars.lock"]
    stale = out.parent / ".cars.0123456789abcdef.part"
    stale.mkdir()
    (stale / "image.png").touch()
    other = out.parent / ".carsets.0123456789abcdef.part"
    other.mkdir()
    with locked_beside(out, "exporting to"):
        pass
    assert [path.name for path in out.parent.iterdir()] == [other.name]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", "somewhere inside")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError, match="Read-only") as caught, locked(tmp_path, "drawing into"):
        pass
    assert caught.value.filename == str(tmp_path)


def test_what_a_kill_left_of_taking_a_lock_goes_an_hour_later_and_nothing_of_others(tmp_path: Path) -> None:
    mark = "0123456789abcdef"
    traces = [f".lock.{mark}.new", f".lock.{mark}", f".0-of-2.lock.torn-12.{mark}.new", f".cars.lock.{mark}"]
    others = [".lock.cfg", ".blocked.new", f"lock.{mark}"]
    for name in (*traces, *others):
        (tmp_path / name).touch()
    with locked(tmp_path, "drawing into"):
        assert {path.name for path in tmp_path.iterdir()} == {LOCK, *traces, *others}
    for name in (*traces, *others):
        os.utime(tmp_path / name, (time.time() - 4000,) * 2)
    with locked(tmp_path, "drawing into"):
        assert {path.name for path in tmp_path.iterdir()} == {LOCK, *others}


def test_a_dead_lock_on_finished_work_is_forgotten_and_no_living_one(tmp_path: Path) -> None:
    folder = tmp_path / "cars"
    forget_dead(folder)
    for place, name in ((folder, LOCK), (tmp_path, ".cars.lock")):
        leave_lock(place, "exporting to", is_alive=False, name=name)
    forget_dead(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["cars"]
    with in_other_hands(folder):
        forget_dead(folder)
        assert (folder / LOCK).exists()
