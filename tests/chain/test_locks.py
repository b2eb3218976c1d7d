"""No two processes write to one folder, and what a killed one has left is in nobody's way."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.run import main as benchmark
from benchmarks.table import main as accuracy_table
from ssl_aug import evaluate, generate, import_set, tune
from ssl_aug.command_line import compose
from ssl_aug.data.build import load_split
from ssl_aug.evaluation import sets
from ssl_aug.export.__main__ import main as export
from ssl_aug.importing.checkpoint import convert
from ssl_aug.lock import InOtherHandsError, locked
from ssl_aug.pretrain import stages
from ssl_aug.pretrain.settings import PretrainSettings
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning import adapter
from ssl_aug.tuning.plan import plan_tuning
from tests.conftest import contents, in_other_hands, leave_lock, write_image_folder

DATA = ["data=image_folder", "data.root=photos", "data.labels_per_class=2"]
DRAWN = [*DATA, "generator=noise", "generator.image_size=16", "per_sample=2", "batch_size=4", "device=cpu",
         "precision=fp32"]  # fmt: skip


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder of its own with a few photos in it."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")


def refused(command: Callable[[], object], folder: Path, lock: str = ".lock") -> str:
    """What a command says, which is who is at work in a folder; it leaves that as it is."""
    home = folder.parent if lock.startswith(f".{folder.name}") else folder
    before = contents(folder)
    other = leave_lock(home, "at work in", name=lock)
    with pytest.raises(InOtherHandsError, match=f"^{other} has been at work in {folder} since .*: wait until") as error:
        command()
    (home / lock).unlink()
    assert contents(folder) == before
    return str(error.value)


def test_a_set_is_drawn_by_one_process_at_a_time() -> None:
    folder = Path("set")
    refused(lambda: generate.main([*DRAWN, "--out", "set"]), folder)
    generate.main([*DRAWN, "--out", "set"])
    assert len(SyntheticSet.open(folder)) == 12
    refused(lambda: generate.main([*DRAWN, "--out", "set"]), folder)


def test_shards_draw_side_by_side_and_the_same_shard_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generate.main([*DRAWN, "--out", "plain"])
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        with in_other_hands(Path("set"), f"{1 - rank}-of-2"):
            refused(lambda: generate.main([*DRAWN, "--out", "set"]), Path("set"), f".{rank}-of-2.lock")
    monkeypatch.setenv("RANK", "0")
    with in_other_hands(Path("set"), "1-of-2"):
        generate.main([*DRAWN, "--out", "set"])
    monkeypatch.setenv("RANK", "1")
    generate.main([*DRAWN, "--out", "set"])
    assert contents(Path("set")) == contents(Path("plain"))
    assert not list(Path("set").glob(".*"))


def test_a_killed_drawing_goes_on_though_the_processs_number_is_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    generate.main([*DRAWN, "--out", "plain"])
    shutil.copytree("plain", "set")
    (Path("set") / "manifest.csv").unlink()
    torn = next(Path("set").glob("images/*/*.png"))
    for name in (f".{torn.name}.{os.getpid()}.part", f".{torn.name}.0123456789abcdef.part"):
        torn.with_name(name).write_bytes(b"half")
    (Path("set") / ".work").mkdir()
    (Path("set") / ".work" / f".chunk.csv.{os.getpid()}.part").touch()
    other = leave_lock(Path("set"), "drawing into", is_alive=False)
    assert other.pid == os.getpid()
    capsys.readouterr()
    generate.main([*DRAWN, "--out", "set"])
    assert f"taking over set from {other}, which is gone" in capsys.readouterr().err
    assert contents(Path("set")) == contents(Path("plain"))
    assert not list(Path("set").glob(".*"))


def test_who_needs_weights_that_another_process_tunes_waits_for_them(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        *DATA, "generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "tune.steps=1", "tune.batch_size=2",
        "device=cpu", "precision=fp32",
    ]  # fmt: skip
    tune.main(words)
    weights = next(Path("outputs/adapters").glob("*/*.safetensors"))
    tuned = weights.read_bytes()
    weights.unlink()
    monkeypatch.setattr(adapter, "_tune", lambda *_: pytest.fail("it is tuned a second time"))
    inside, arrived = threading.Event(), threading.Event()

    def first() -> None:
        with locked(weights.parent, "tuning"):
            inside.set()
            assert arrived.wait(20)
            weights.write_bytes(tuned)

    def arriving(folder: Path, doing: str, wait: bool) -> AbstractContextManager[None]:
        arrived.set()
        return locked(folder, doing, wait=wait)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    monkeypatch.setattr(adapter, "locked", arriving)
    capsys.readouterr()
    tune.main(words)
    thread.join()
    assert capsys.readouterr().out == f"tuned weights: {weights}\n"


def test_weights_that_several_processes_share_are_not_waited_for(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shared:
        num_processes, is_main_process = 2, True

    words = [*DATA, "generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "device=cpu", "precision=fp32"]
    monkeypatch.setattr(adapter, "accelerator_of", lambda place: Shared())
    settings = compose("tune", words, Settings)
    folder = plan_tuning(settings, *load_split(settings.data)).folder
    assert "stop it" in refused(lambda: tune.main(words), folder)
    assert not list(folder.glob("*.safetensors"))


def test_what_appears_whole_is_made_by_one_process_at_a_time(tiny_checkpoint: Path) -> None:
    export_words = [*DATA, "--to", "folder", "--out", "cars", "--real-only"]
    refused(lambda: export(export_words), Path("cars"), ".cars.lock")
    shutil.copytree("photos/train", "made")
    import_words = [*DATA, "made", "--out", "taken", "--made-by", "a test"]
    refused(lambda: import_set.main(import_words), Path("taken"), ".taken.lock")
    (Path("model.ckpt")).touch()
    refused(lambda: convert(Path("model.ckpt"), Path("model"), None), Path("model"), ".model.lock")
    assert not any(Path(name).exists() for name in ("cars", "taken", "model"))
    stale = Path(f".cars.{os.getpid()}.part")
    stale.mkdir()
    export(export_words)
    assert Path("cars/manifest.csv").is_file() and not stale.exists()
    assert not list(Path().glob(".*"))


def test_what_a_killed_process_has_left_goes_also_where_all_is_found_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_AUG_CACHE", "cache")
    measured = [*DATA, *DRAWN[-2:], "generator=noise", "generator.image_size=16", "sweep=mask_rate", "mask_rates=[0.0]",
                "per_sample=2", "out=figures"]  # fmt: skip
    evaluate.main(measured)
    (made,) = Path("outputs/synthetic").iterdir()
    table = ["--runs", "runs", "--out", "table.md"]
    old = [
        Path("cache/.encodings-abc.0123456789abcdef.part"), Path("cache/kept/.judge.0123456789abcdef.part"),
        made / ".lock.0123456789abcdef.new", Path(".table.md.0123456789abcdef.part"),
        Path("figures/rows/.row.json.0123456789abcdef.part"),
    ]  # fmt: skip
    young = Path("cache/.encodings-def.0123456789abcdef.part")
    for left in (*old, young):
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
    for left in old:
        os.utime(left, (0, 0))
    evaluate.main(measured)
    benchmark([*DATA, *DRAWN[-2:], "method=erm", "model=tiny", "train.steps=1", "train.batch_size=2", "runs=runs"])
    accuracy_table(table)
    assert not any(left.exists() for left in old) and young.exists()


def test_what_a_killed_tuning_has_left_goes_also_where_its_set_is_found_done(tiny_checkpoint: Path) -> None:
    words = [*DATA, "generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "tune.steps=1", "steps=2",
             "per_sample=1", "device=cpu", "precision=fp32", "--out", "set"]  # fmt: skip
    generate.main(words)
    (tuned,) = Path("outputs/adapters").iterdir()
    left = tuned / ".lock.0123456789abcdef.new"
    left.touch()
    os.utime(left, (0, 0))
    generate.main(words)
    assert not left.exists()


def test_measures_and_pretrainings_have_their_folders_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "Bench", lambda *_: pytest.fail("another one is at it"))
    generate.main([*DRAWN, "--out", "set"])
    measure = ["synthetic.root=set", "--out", "measures", *DRAWN[-2:]]
    assert "measures" in refused(lambda: evaluate.main(measure), Path("measures"))
    monkeypatch.setattr(stages, "draw_bank", lambda *_: pytest.fail("another one is at it"))
    settings = PretrainSettings(out="weights", work="work", device="cpu", precision="fp32")
    for folder in ("weights", "work"):
        assert folder in refused(lambda: stages.pretrain(settings), Path(folder))
