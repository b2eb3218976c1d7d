"""What all tests share: an offline machine, a cache of their own, a tiny random latent diffusion model.

The process that hands tests out to workers reads this file and no test: what loads PyTorch is imported where it is
used.
"""

from __future__ import annotations

import gc
import os
import signal

gc.disable()  # until all is imported, of which little can be given back

os.environ["HF_HUB_OFFLINE"] = "1"  # before any import that reads it
os.environ["MPLBACKEND"] = "Agg"
for name in (
    "SSL_AUG_DATA",
    "SSL_AUG_CACHE",
    "RANK",
    "WORLD_SIZE",
    "SLURM_ARRAY_TASK_COUNT",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_MIN",
    "SSL_AUG_DEBUG",
    "TORCHELASTIC_ERROR_FILE",
):
    os.environ.pop(name, None)
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may have had it ignored

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from ssl_aug.interrupts import Deferred
from ssl_aug.lock import LOCK
from ssl_aug.owner import Owner, this_process

if TYPE_CHECKING:
    from generators import ldm
    from generators.conditioning import ClipEncoder
    from ssl_aug.export.content import Content

TINY_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}


def pytest_collection_finish() -> None:
    """What the imports made stays: the collector need not look through it again and again, a fifth of all time.

    Hydra learns all methods now: each that it learns later would have it compose anew what it keeps.
    """
    import torch

    from benchmarks.methods import METHODS
    from benchmarks.registering import register_methods

    torch.set_num_threads(1)
    register_methods(METHODS)
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares gigabytes comes first: a worker with nothing left takes tests from the end of another one's list, and
    would make them again."""
    items.sort(key=lambda item: item.path.stem != "test_compvis")


def pytest_sessionfinish() -> None:
    """Libraries count at the end what was not given back."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache; one cache for the whole session, so that data are made once."""
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def precision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on which processor it runs on: precision=auto, which does, is refused."""

    from ssl_aug import runtime

    def asked(device: str) -> bool:
        pytest.fail(f"this test leaves the precision on {device} to the machine: say precision=fp32 or bf16")

    monkeypatch.setattr(runtime, "has_bfloat16_units", asked)


@pytest.fixture
def precision() -> str:
    """What the tests' command lines compute in, unless a test asks for `IN_BOTH_PRECISIONS`."""
    return "fp32"


IN_BOTH_PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16"])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file beneath a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def stop_after(num_steps: int, loop: ModuleType) -> Iterator[None]:
    """Ctrl-C comes in the step of this number, counted from the one that the loop begins with, and ends the block.

    Args:
        loop: the module of the loop, which asks once a step whether Ctrl-C came.
    """

    class Interrupts(Deferred):
        asked = 0

        def __call__(self) -> bool:
            self.asked += 1
            return self.asked >= num_steps

    @contextmanager
    def interrupts() -> Iterator[Deferred]:
        yield Interrupts()

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "interrupts_deferred", interrupts)
        yield


def leave_lock(folder: Path, doing: str, is_alive: bool = True, name: str = LOCK) -> Owner:
    """Puts a lock on a folder: of a process that runs as long as the test, or of one of the same number before it."""
    other = this_process(doing) if is_alive else replace(this_process(doing), start="1")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(other.as_json)
    return other


@contextmanager
def in_other_hands(folder: Path, part: str = "") -> Iterator[Owner]:
    """Inside, another process that lives is at work in a folder, or at a part of the work there."""
    name = f".{part}{LOCK}" if part else LOCK
    yield leave_lock(folder, "at work in", name=name)
    (folder / name).unlink()


@contextmanager
def stop_drawing_after(num_chunks: int) -> Iterator[None]:
    """Ctrl-C comes when this many chunks are written and another one is about to be, and ends the block."""
    from ssl_aug.synthetic import SetWriter

    write = SetWriter.write
    written: list[int] = []

    def stops(self: SetWriter, *arguments: Any) -> None:
        if len(written) == num_chunks:
            raise KeyboardInterrupt
        written.append(1)
        write(self, *arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SetWriter, "write", stops)
        yield


def tiny_unet() -> ldm.UNet2DConditionModel:
    from generators import ldm

    return ldm.UNet2DConditionModel(
        sample_size=4,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )


def tiny_autoencoder() -> ldm.AutoencoderKL:
    from generators import ldm

    return ldm.AutoencoderKL(
        in_channels=48,
        out_channels=48,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(16,),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=4,
        mid_block_add_attention=False,
    )


def build_tiny_model() -> ldm.LatentDiffusion:
    """A latent diffusion model of 16x16 images with random weights, always the same."""
    import torch

    from generators import ldm
    from generators.model_facts import ModelFacts

    torch.manual_seed(0)
    facts = ModelFacts(image_size=16, clip=TINY_CLIP, clip_image_norm=4.0, pixel_fold=4)
    return ldm.LatentDiffusion(facts, tiny_unet(), tiny_autoencoder()).eval()


@pytest.fixture(scope="session")
def tiny_model() -> ldm.LatentDiffusion:
    """Shared: do not change it, copy it."""
    return build_tiny_model()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_model: ldm.LatentDiffusion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's folder."""
    from generators import model_folder

    folder = tmp_path_factory.mktemp("tiny") / "model"
    model_folder.save(tiny_model, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_clip() -> ClipEncoder:
    import torch

    from generators.conditioning import ClipEncoder

    torch.manual_seed(0)
    return ClipEncoder(TINY_CLIP, image_norm=4.0)


def write_image_folder(
    root: Path, classes: tuple[str, ...] = ("cat", "dog", "eel"), train: int = 5, test: int = 2
) -> Path:
    """A little dataset in image_folder's layout, each class a color with noise."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        for split, count in (("train", train), ("test", test)):
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = rng.integers(0, 120, (16, 16, 3))
                pixels[..., label % 3] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{index}.png")
    return root


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three classes, five training and two test images each."""
    return write_image_folder(tmp_path / "photos")


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """A split with classes whose names are hard on every reader, and a synthetic set of it."""
    from tests.ssl_aug.export.world import make_content

    return make_content(tmp_path_factory.mktemp("world"))


def interrupt_as_an_error(*_: Any, **__: Any) -> NoReturn:
    """A Ctrl-C that native code makes an error of its own of, as reading weights does."""
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    raise ValueError("could not determine the shape of object type 'torch.storage.UntypedStorage'")
