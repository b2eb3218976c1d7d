"""Every kind of checkpoint is opened, described and hashed by its path."""

import ast
import copy
import hashlib
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import generators
from generators import compvis, conditioning, ldm, model_folder
from generators.checkpoints import open_checkpoint, schedule_of, weights_hash
from generators.conditioning import ClipEncoder
from generators.model_facts import SCHEDULE
from ssl_aug.settings import EMBEDDED
from tests.conftest import TINY_CLIP


@pytest.fixture
def folder(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> Path:
    """A model's folder whose CLIP lies elsewhere."""
    model = copy.deepcopy(tiny_model)
    model.facts.clip_name = "tiny"
    model.null_token.fill_(1)
    model_folder.save(model, tmp_path / "model", with_clip=False)
    return tmp_path / "model"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    save_file(ClipEncoder(TINY_CLIP, None).model.state_dict(), tmp_path / "clip.safetensors")
    return tmp_path / "clip.safetensors"


def test_a_folder_and_a_file_are_opened_by_what_they_are(
    folder: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_checkpoint(folder, str(clip))
    assert opened.facts.image_size == 16
    assert opened.null_token.eq(1).all()
    asked = []
    monkeypatch.setattr(compvis, "load", lambda *words: asked.append(words))
    (tmp_path / "model.ckpt").touch()
    open_checkpoint(tmp_path / "model.ckpt", str(clip))
    assert asked == [(tmp_path / "model.ckpt", str(clip))]


def test_what_is_neither_is_refused_in_one_line(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none", "no such file or folder"), (tmp_path, "a folder without model.json")):
        for ask in (open_checkpoint, schedule_of, weights_hash):
            with pytest.raises(FileNotFoundError, match=re.escape(f"generator.checkpoint={path}: ")) as error:
                ask(path)
            assert what in str(error.value)
            assert "or the published checkpoint's file" in str(error.value)
            assert "\n" not in str(error.value)


def test_the_schedule_is_told_without_reading_weights(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads(*_: object) -> None:
        pytest.fail("weights were read")

    for module, name in (
        (model_folder, "load_weights"),
        (model_folder, "load_clip"),
        (compvis, "read_weights"),
        (conditioning, "clip_file"),
    ):
        monkeypatch.setattr(module, name, reads)
    (tmp_path / "model.ckpt").touch()
    assert schedule_of(tmp_path / "model.ckpt") == schedule_of(tiny_checkpoint) == SCHEDULE
    assert schedule_of(EMBEDDED)["num_train_timesteps"] == 800


def slow_hash(*paths: Path) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()[:12]


def test_the_hash_is_of_all_that_is_loaded(
    folder: Path, clip: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compvis, "clip_config", lambda name: TINY_CLIP)
    (folder / "README.md").write_text("no part of the model")
    assert weights_hash(folder, str(clip)) == slow_hash(
        clip, *(folder / name for name in (
            "autoencoder.json", "autoencoder.safetensors", "model.json", "null_token.safetensors", "unet.json",
            "unet.safetensors",
        )),
    )  # fmt: skip
    with pytest.raises(ValueError, match="clip_checkpoint has no effect"):
        weights_hash(tiny_checkpoint, str(clip))
    own = sorted(tiny_checkpoint.iterdir())
    assert "clip.safetensors" in [path.name for path in own]
    assert weights_hash(tiny_checkpoint) == slow_hash(*own)
    (tmp_path / "model.ckpt").write_bytes(b"published")
    assert weights_hash(tmp_path / "model.ckpt", str(clip)) == slow_hash(clip, tmp_path / "model.ckpt")


def test_the_hash_needs_clip_where_the_model_does(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        weights_hash(folder, str(tmp_path / "none.safetensors"))


def test_the_files_import_one_another_in_one_direction() -> None:
    imports = {}
    for path in Path(generators.__file__).parent.glob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "generators":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("generators."):
                found.add(node.module.removeprefix("generators."))
        imports[path.stem] = found
    order = list(TopologicalSorter(imports).static_order())  # raises where there is a circle
    assert order.index("ldm") < order.index("compvis") < order.index("checkpoints") < order.index("build")
