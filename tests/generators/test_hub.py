"""Pipelines by their name on the hub, from a hub on this machine: pinned, no more fetched than is read."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from generators import hub
from generators.build import build_generator
from generators.checkpoints import weights_hash
from generators.hub import is_hub_id
from generators.needed_files import needed_files
from generators.pipeline_files import listing_of
from generators.settings import GeneratorSettings, SamplingSettings
from tests.generators.hub_server import Machine, serving
from tests.generators.pipelines import (
    ENCODER_WEIGHTS,
    IMAGE,
    TEXT,
    UNET_WEIGHTS,
    VAE_WEIGHTS,
    write_clip,
    write_pipeline,
)

NEEDED = {
    "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", UNET_WEIGHTS, "vae/config.json",
    VAE_WEIGHTS, "image_encoder/config.json", ENCODER_WEIGHTS,
}  # fmt: skip
UNNEEDED = (
    "README.md", "safety_checker/config.json", "safety_checker/model.safetensors", "feature_extractor/config.json",
    "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors", "v1-5-pruned.ckpt",
    "image_encoder/pytorch_model.bin",
)  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository's folder with much that is not needed. Copy it to change it."""
    folder = write_pipeline(tmp_path_factory.mktemp("published") / "pipeline")
    for name in UNNEEDED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}")
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with serving() as hub:
        (tmp_path / "home").mkdir()
        yield Machine(hub, tmp_path / "home")


def changed(pipeline: Path, folder: Path, *gone: str) -> Path:
    """A copy without some of its files."""
    shutil.copytree(pipeline, folder)
    for name in gone:
        (folder / name).unlink()
    return folder


# ---------------------------------------------------------------------------------------------------------------------
# fetching


def test_no_more_is_fetched_than_is_read_and_once(machine: Machine, pipeline: Path) -> None:
    commit = machine.hub.publish("owner/name", pipeline)
    found, folder = machine.found("owner/name")
    assert found == f"owner/name@{commit}"
    assert machine.held() == NEEDED == set(machine.hub.sent())
    assert all((folder / name).read_bytes() == (pipeline / name).read_bytes() for name in NEEDED)
    machine.hub.forget()
    assert machine.found("owner/name") == (found, folder)
    assert machine.hub.sent() == []


def test_the_cache_gives_the_same_model_offline(machine: Machine, pipeline: Path) -> None:
    machine.hub.publish("owner/name", pipeline)
    online = machine.found("owner/name")
    machine.hub.forget()
    assert machine.found("owner/name", HF_HUB_OFFLINE="1") == online
    assert machine.hub.asked == []
    assert weights_hash(online[1]) == weights_hash(pipeline)


def test_a_text_encoder_comes_with_all_that_is_read_of_it(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pipeline(tmp_path / "text", TEXT)
    clip = str(write_clip(tmp_path / "clip.safetensors", monkeypatch))
    machine.hub.publish("owner/name", folder)
    _, fetched = machine.found("owner/name")
    assert (fetched / "text_encoder/model.safetensors").is_file()
    assert weights_hash(fetched, clip, with_text=True) == weights_hash(folder, clip, with_text=True)


def test_a_revision_is_pinned_though_the_branch_moves_on(machine: Machine, pipeline: Path, tmp_path: Path) -> None:
    first = machine.hub.publish("owner/name", pipeline)
    machine.found("owner/name")
    second = machine.hub.publish("owner/name", changed(pipeline, tmp_path / "later"))
    offline = {"HF_HUB_OFFLINE": "1"}
    assert machine.found("owner/name", **offline)[0] == f"owner/name@{first}"  # as it was fetched
    assert machine.found("owner/name")[0] == f"owner/name@{second}"
    assert machine.found("owner/name", **offline)[0] == f"owner/name@{second}"
    for mode in (offline, {}):
        assert machine.found(f"owner/name@{first}", **mode)[0] == f"owner/name@{first}"
    machine.hub.publish("owner/name", pipeline, branch="v1")
    assert machine.found("owner/name@v1")[0] == machine.found("owner/name@v1", **offline)[0] == f"owner/name@{first}"


# ---------------------------------------------------------------------------------------------------------------------
# which files


def test_half_precision_is_taken_where_there_is_no_other(pipeline: Path, tmp_path: Path) -> None:
    half = UNET_WEIGHTS.replace(".safetensors", ".fp16.safetensors")
    assert set(needed_files(IMAGE, listing_of(pipeline))) == NEEDED
    folder = changed(pipeline, tmp_path / "half", UNET_WEIGHTS)
    assert set(needed_files(IMAGE, listing_of(folder))) == NEEDED - {UNET_WEIGHTS} | {half}


@pytest.mark.parametrize("index", ["safetensors.index.json", "safetensors.index.fp16.json"])
def test_shards_come_with_their_index(machine: Machine, pipeline: Path, tmp_path: Path, index: str) -> None:
    folder = changed(pipeline, tmp_path / "sharded", UNET_WEIGHTS, "unet/diffusion_pytorch_model.fp16.safetensors")
    names = ("one.safetensors", "two.safetensors")
    (folder / f"unet/diffusion_pytorch_model.{index}").write_text(
        json.dumps({"weight_map": dict(zip("ab", names, strict=True))})
    )
    (folder / "unet/one.safetensors").touch()
    with pytest.raises(FileNotFoundError, match=r"unet/two\.safetensors missing"):
        needed_files(IMAGE, listing_of(folder))
    (folder / "unet/two.safetensors").touch()
    wanted = {f"unet/diffusion_pytorch_model.{index}", *(f"unet/{name}" for name in names)}
    assert set(needed_files(IMAGE, listing_of(folder))) == NEEDED - {UNET_WEIGHTS} | wanted
    machine.hub.publish("owner/name", folder)
    machine.found("owner/name")
    assert machine.held() == NEEDED - {UNET_WEIGHTS} | wanted
    assert machine.hub.sent()[:2] == ["model_index.json", f"unet/diffusion_pytorch_model.{index}"]  # before the rest


def test_a_text_encoder_is_taken_with_its_tokenizer_where_it_can_be_read(pipeline: Path, tmp_path: Path) -> None:
    folder = changed(pipeline, tmp_path / "text")
    plain = {name for name in NEEDED if not name.startswith("image_encoder")}
    for name in ("text_encoder/config.json", "text_encoder/pytorch_model.bin", "tokenizer/vocab.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert set(needed_files(TEXT, listing_of(folder))) == plain
    for name in ("text_encoder/model.safetensors", "tokenizer/merges.txt", "tokenizer/other.bin"):
        (folder / name).touch()
    text = {"text_encoder/config.json", "text_encoder/model.safetensors"}
    assert set(needed_files(TEXT, listing_of(folder))) == plain | text | {
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
    }


# ---------------------------------------------------------------------------------------------------------------------
# refusals: one line, nothing large fetched


def test_another_kind_is_refused_by_name_and_nothing_but_the_index_is_fetched(
    machine: Machine, pipeline: Path, tmp_path: Path
) -> None:
    folder = changed(pipeline, tmp_path / "xl")
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    commit = machine.hub.publish("owner/name", folder)
    line = machine.refused("owner/name")
    assert f"generator.checkpoint=owner/name@{commit}: a StableDiffusionXLPipeline is Stable Diffusion XL" in line
    assert [method for method, path in machine.hub.asked if "/resolve/" in path] == ["HEAD", "GET"]
    assert machine.hub.sent() == ["model_index.json"]


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (
            [UNET_WEIGHTS, UNNEEDED[5]],
            "unet holds its weights as a pickle (diffusion_pytorch_model.bin), which can run",
        ),
        ([ENCODER_WEIGHTS], "image_encoder holds its weights as a pickle (pytorch_model.bin)"),
        ([VAE_WEIGHTS], f"{VAE_WEIGHTS} missing; the repository does not hold a whole pipeline"),
        (["vae/config.json"], "vae/config.json missing; the repository does not hold a whole pipeline"),
        (["model_index.json"], "the repository has no model_index.json, so it is no diffusers pipeline"),
    ],
)
def test_what_cannot_be_read_is_refused_before_weights_are_fetched(
    machine: Machine, pipeline: Path, tmp_path: Path, gone: list[str], said: str
) -> None:
    machine.hub.publish("owner/name", changed(pipeline, tmp_path / "broken", *gone))
    line = machine.refused("owner/name")
    assert said in line and "generator.checkpoint=owner/name" in line
    assert machine.hub.sent() in (["model_index.json"], [])


def test_what_is_not_there_or_not_for_everyone_is_said(machine: Machine, pipeline: Path) -> None:
    machine.hub.publish("owner/name", pipeline)
    machine.hub.publish("owner/gated", pipeline)
    machine.hub.gated.add("owner/gated")
    for name, said in (
        (
            "nobody/nothing",
            f"the hub shows no {machine.hub.address}/nobody/nothing; a private repository needs hf auth",
        ),
        ("owner/name@v9", "owner/name has no revision v9; give a branch, tag or commit of"),
        ("owner/gated", f"owner/gated is gated: ask for access at {machine.hub.address}/owner/gated and log in"),
    ):
        line = machine.refused(name)
        assert line.startswith(f"error: generator.checkpoint={name}: ")
        assert said in line


def test_a_hub_out_of_reach_is_said_in_one_line(machine: Machine) -> None:
    begin = time.monotonic()
    line = machine.refused("owner/name", HF_ENDPOINT="http://127.0.0.1:9")
    assert "generator.checkpoint=owner/name cannot be fetched from http://127.0.0.1:9 (" in line
    assert "set HF_HUB_OFFLINE=1 to use what is in the hub's cache" in line
    assert time.monotonic() - begin < 10


def test_offline_says_how_to_get_what_the_cache_lacks(machine: Machine, pipeline: Path) -> None:
    line = machine.refused("owner/name", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE=1 is set: leave it out to have them fetched" in line
    assert "snapshot_download('owner/name', local_dir='FOLDER'" in line
    assert machine.hub.asked == []
    machine.hub.publish("owner/name", pipeline)
    _, folder = machine.found("owner/name")
    (folder / VAE_WEIGHTS).unlink()
    line = machine.refused("owner/name", HF_HUB_OFFLINE="1")
    assert f"{VAE_WEIGHTS} missing; the hub's cache does not hold all of it" in line


def test_what_is_on_disk_or_looks_like_a_file_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("owner/name") and is_hub_id("owner/name@refs/pr/1")
    (tmp_path / "owner/name").mkdir(parents=True)
    assert not is_hub_id("owner/name")
    for name in ("name", "./name", "../name", "/owner/name", "a/b/c", "weights/model.ckpt", "owner/name@"):
        assert not is_hub_id(name)


def test_a_generator_is_built_from_a_hub_id_too(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find", lambda checkpoint: hub.Snapshot(f"{checkpoint}@{'1' * 40}", pipeline))
    built = build_generator(GeneratorSettings("ldm", "owner/name"), SamplingSettings(sampler="dpmpp", steps=1))
    assert built.image_size == 16
