"""A hub id on the command line, from a hub on this machine: fetched, tuned, drawn from, pinned in the record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from generators import first_look, hub
from ssl_aug import generate as generate_module
from ssl_aug.convert import main as convert
from ssl_aug.files import read_json
from tests.conftest import contents, write_image_folder
from tests.generators.hub_server import Machine, error_of, serving
from tests.generators.pipelines import write_pipeline

WORDS = [
    "data=image_folder", "data.root=photos", "data.labels_per_class=1", "generator=ldm",
    "generator.checkpoint=owner/name", "tune.steps=1", "tune.batch_size=2", "steps=2", "sampler=dpmpp", "device=cpu",
    "precision=fp32", "--per-sample", "1", "--out", "set",
]  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with serving() as here:
        (tmp_path / "home").mkdir()
        write_image_folder(tmp_path / "home/photos")
        yield Machine(here, tmp_path / "home")


PLAN_AND_DRAW = """
import sys
from pathlib import Path
from ssl_aug import generate

generate.main([*sys.argv[1:], "--dry-run"])
held = sorted(path.name for path in Path("hub").glob("models--*/snapshots/*/**/*") if path.is_file())
print("held", *held, Path("set").exists())
generate.main(sys.argv[1:])
"""


def test_a_set_is_drawn_from_a_hub_id_and_its_record_names_the_commit(machine: Machine, tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path / "pipeline")
    commit = machine.hub.publish("owner/name", pipeline)
    done = machine.run("-c", PLAN_AND_DRAW, *WORDS)  # one process: its imports take most of its time
    assert done.returncode == 0, done.stderr
    large = sum(path.stat().st_size for path in pipeline.glob("*/*"))
    assert f"would first fetch 7 files of owner/name@{commit}, {large / 1e6:.1f} MB:" in done.stdout
    assert "  unet/diffusion_pytorch_model.safetensors\n" in done.stdout
    assert "held model_index.json False\n" in done.stdout  # after the plan
    assert read_json(machine.home / "set/generator.json")["generator.checkpoint"] == f"owner/name@{commit}"
    assert f"generator ldm of owner/name@{commit}, tuned: anl, 1 steps" in (machine.home / "set/README.md").read_text()


@pytest.mark.parametrize("module", ["ssl_aug.generate", "ssl_aug.tune", "ssl_aug.evaluate"])
def test_a_hub_id_that_is_not_there_offline_is_said_at_once(machine: Machine, module: str) -> None:
    words = ["data=image_folder", "data.root=photos", "generator=ldm", "generator.checkpoint=owner/name"]
    before = getrusage(RUSAGE_CHILDREN)
    line = error_of(machine.run("-m", module, *words, HF_HUB_OFFLINE="1"))
    after = getrusage(RUSAGE_CHILDREN)
    # processor time, so that a busy machine does not count; loading torch alone takes longer
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert line.startswith("error: generator.checkpoint=owner/name: there is no such file or folder, and ")
    assert "HF_HUB_OFFLINE=1 is set: leave it out" in line
    assert machine.hub.asked == []


# ---------------------------------------------------------------------------------------------------------------------
# in this process: what the hub gives is put in the place of its answer


def give(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "may_fetch", lambda: True)
    monkeypatch.setattr(hub, "find", lambda checkpoint: hub.Snapshot(name, folder))


def test_a_repository_that_moved_on_is_refused_with_the_commit_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    folder = write_pipeline(tmp_path / "pipeline")
    give("owner/name@" + "1" * 40, folder, monkeypatch)
    generate_module.main(WORDS)
    before = contents(tmp_path / "set")
    give("owner/name@" + "2" * 40, folder, monkeypatch)
    with pytest.raises(
        FileExistsError, match=f"set holds a set with generator.checkpoint=owner/name@{'1' * 40}, asked"
    ):
        generate_module.main([*WORDS, "--per-sample", "2"])
    assert contents(tmp_path / "set") == before
    give("owner/name@" + "1" * 40, folder, monkeypatch)
    generate_module.main([*WORDS, "--per-sample", "2"])
    assert before.keys() < contents(tmp_path / "set").keys()


def test_the_record_of_a_folder_says_nothing_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    write_pipeline(tmp_path / "owner/name")  # what is on disk comes first
    generate_module.main(WORDS)
    assert "generator.checkpoint" not in read_json(tmp_path / "set/generator.json")
    assert "generator ldm, tuned: anl, 1 steps" in (tmp_path / "set/README.md").read_text()


def test_convert_says_that_a_pipeline_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = "owner/name: there is no such file; a diffusers pipeline's name on the hub is taken as it is, generator"
    with pytest.raises(ValueError, match=said):
        convert(["owner/name", "--out", "new"])
    (tmp_path / "owner/name").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"owner/name is a folder: give it as generator\.checkpoint=owner/name; "):
        convert(["owner/name", "--out", "new"])
    assert not (tmp_path / "new").exists()
