"""Which images' tokens the generator is told of where it borrows."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from generators import model_folder
from generators.anl_ldm import ANLLatentDiffusion
from ssl_aug import generate as generate_module
from ssl_aug.command_line import compose
from ssl_aug.data.build import load_and_tell, load_split
from ssl_aug.drawing.draw import draw_set
from ssl_aug.settings import Settings
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.plan import plan_tuning
from tests.conftest import write_image_folder

Told = tuple[torch.Tensor, list[str], torch.Tensor | None]


@pytest.fixture
def words(tiny_checkpoint: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command line of a second on 15 photos, 9 of them labeled."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    return [
        *("data=image_folder", "data.root=photos", "data.labels_per_class=3", "device=cpu", "condition=borrowed"),
        *("generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "tune.steps=1", "tune.batch_size=4"),
        *("steps=2", "sampler=dpmpp", "per_sample=1", "mask_rate=0"),
        f"precision={precision}",
    ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    """What the generators that are made were told."""
    calls: list[Told] = []
    remember = ANLLatentDiffusion.remember

    def listens(self: ANLLatentDiffusion, *known: torch.Tensor) -> float:
        calls.append(known)
        return remember(self, *known)

    monkeypatch.setattr(ANLLatentDiffusion, "remember", listens)
    return calls


@pytest.mark.parametrize(
    "more", [[], ["tune.flip=false"], ["data.subset=10"], ["generator.image_size=32"]], ids=lambda more: "".join(more)
)
def test_each_tuning_image_without_label_is_told_of_once_and_unmirrored(
    words: list[str], told: list[Told], tiny_checkpoint: Path, more: list[str], precision: str
) -> None:
    settings = compose("generate", [*words, *more], Settings)
    dataset, split = load_split(settings.data)
    draw_set(settings, *load_and_tell(settings.data))
    clip, size = model_folder.load(tiny_checkpoint).clip, settings.generator.image_size or 16

    def embedded(paths: list[Path]) -> torch.Tensor:
        return clip.embed_images(read_batch(paths, size))[:, 0]

    [(labeled, names, unlabeled)] = told
    images = plan_tuning(settings, dataset, split).images
    others = [path for path in images if path not in split.labeled.paths]
    assert 3 < len(others) == len(images) - len(set(images) & set(split.labeled.paths))
    assert unlabeled is not None and torch.allclose(unlabeled, embedded(others), atol=1e-4)
    by_name = sorted(split.labeled.examples, key=lambda example: (example.label, example.path.name))
    # labeled images are embedded as those that are drawn from, in the run's precision; the numbers are about 1
    expected = embedded([example.path for example in by_name])
    assert torch.allclose(labeled, expected, atol={"fp32": 1e-4, "bf16": 0.05}[precision])
    assert torch.cdist(labeled, expected).argmin(dim=1).tolist() == list(range(len(by_name)))
    assert names == [path.parent.name for path in (example.path for example in by_name)]


@pytest.mark.parametrize("put", [Path.symlink_to, lambda new, old: shutil.copytree(old, new)], ids=["link", "copy"])
def test_links_and_copies_of_labeled_images_are_no_further_ones(
    words: list[str], told: list[Told], tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    put(tmp_path / "photos/unlabeled", tmp_path / "photos/train/cat")
    generate_module.main(words)
    [(_, _, unlabeled)] = told
    assert unlabeled is not None
    assert len(unlabeled) == 15 + 5 - 9 - 3  # of five cats that come a second time, three are labeled


def test_class_means_of_the_labeled_images_are_of_no_others(words: list[str], told: list[Told]) -> None:
    generate_module.main([*words, "class_means=labeled"])
    assert told[0][2] is None


def test_where_all_tuning_images_are_labeled_it_is_said(
    words: list[str], told: list[Told], capsys: pytest.CaptureFixture[str]
) -> None:
    generate_module.main([*words, "data.labels_per_class=5"])
    [(_, _, unlabeled)] = told
    assert unlabeled is not None and len(unlabeled) == 0
    assert "class_means=train: every tuning image is labeled" in capsys.readouterr().err
