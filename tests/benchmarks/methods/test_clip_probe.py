"""A probe and class means on CLIP's features: what they are, that CLIP stays as it is, and which CLIP it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.clip_model import build_on_frozen_clip
from benchmarks.description import clip_id
from benchmarks.methods.clip_means import ClipMeans, ClipMeansSettings, class_sums
from benchmarks.methods.clip_probe import ClipProbeSettings
from benchmarks.run import settings_from
from ssl_aug.frozen_clip import frozen_clip
from tests.benchmarks.conftest import build_classifier, random_labeled, read_log, ready, trained


def test_class_sums_are_of_unit_features_and_weighted() -> None:
    features = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    target, weight = torch.tensor([0, 2, 0, 2, 2]), torch.tensor([1.0, 0.5, 1.0, 0.0, 2.0])
    expected = torch.zeros(4, 3)
    for f, c, w in zip(features, target, weight, strict=True):
        expected[c] += w * f / f.norm()
    torch.testing.assert_close(class_sums(features, target, weight, 4), expected)


def test_class_means_say_the_class_whose_images_so_far_are_nearest() -> None:
    model = build_classifier(batch_norm=False)
    method = ready(ClipMeansSettings(), model)
    assert isinstance(method, ClipMeans)
    units, targets = [], []
    for step in range(3):
        labeled = random_labeled(step)
        method(model, labeled, None, 0.0)
        units.append(torch.nn.functional.normalize(model.features(labeled.weak), dim=1))
        targets.append(labeled.target)
    images = random_labeled(9).weak
    means = [torch.cat(units)[torch.cat(targets) == c].sum(0) for c in range(4)]
    for image, said in zip(model.features(images), model(images).argmax(1), strict=True):
        angles = [torch.nn.functional.cosine_similarity(image, mean, dim=0) for mean in means]
        assert said == torch.stack(angles).argmax()


def test_clips_features_have_a_mean_square_of_1_and_training_changes_nothing_in_it() -> None:
    model, inputs = build_on_frozen_clip("embedded", None, 3)
    model.train()
    assert not any(module.training for module in model.backbone.modules())
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    images = torch.rand(2, 3, inputs.image_size, inputs.image_size) * 2 - 1
    features = model.features(images)
    assert not features.requires_grad and model(images).requires_grad
    torch.testing.assert_close(features.square().mean(1), torch.ones(2))
    assert (inputs.mean, inputs.std) == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("method", ["clip_probe", "clip_means"])
def test_both_learn_the_colors_of_pictures(method: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*words, f"method={method}", "train.steps=20", "train.eval_every=20"])
    assert "a frozen CLIP (embedded) takes the place of model=test_resnet" in capsys.readouterr().err
    assert float(read_log(folder)[-1]["accuracy"]) > 60


@pytest.mark.parametrize(
    ("name", "checkpoint", "said"),
    [
        ("ViT-B-3", None, "method.clip=ViT-B-3: there is no such CLIP; give embedded"),
        ("coca_ViT-B-32", None, "method.clip=coca_ViT-B-32: that model is of another kind than CLIP"),
        ("embedded", "x.pt", "method.clip_checkpoint has no effect on method.clip=embedded"),
        ("ViT-B-32-quickgelu", "nowhere/x.pt", "method.clip_checkpoint=nowhere/x.pt: there is no such file"),
        ("ViT-B-32-quickgelu", "laion", "method.clip_checkpoint=laion: ViT-B-32-quickgelu has no such weights"),
    ],
)
def test_a_clip_that_cannot_be_had_is_named(name: str, checkpoint: str | None, said: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        frozen_clip(name, checkpoint)


def test_a_generators_checkpoint_gives_its_clip(tiny_checkpoint: Path) -> None:
    assert frozen_clip(str(tiny_checkpoint), None).width > 0
    with pytest.raises(ValueError, match=r"method\.clip_checkpoint"):
        frozen_clip(str(tiny_checkpoint), "x.pt")


@pytest.mark.parametrize("from_files", [False, True])
def test_photos_want_a_clip_that_has_seen_photos_and_no_model(words: list[str], from_files: bool) -> None:
    given = [*(word for word in words if not word.startswith("model")), "method=clip_probe"]
    with pytest.raises(ValueError, match=r"^data=image_folder wants a method\.clip=: open_clip's name"):
        settings_from(given, from_files=from_files)
    assert settings_from([*given, "method.clip=embedded"]).method.clip == "embedded"
    assert settings_from([*given, "method.clip=ViT-B-32-quickgelu"]).method.clip == "ViT-B-32-quickgelu"


def test_a_clip_is_known_by_its_content_whatever_its_path(tmp_path: Path) -> None:
    for name, content in (("a.pt", b"1"), ("b.pt", b"1"), ("c.pt", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (
        clip_id(ClipProbeSettings(clip="ViT-B-32-quickgelu", clip_checkpoint=str(tmp_path / f"{name}.pt")))
        for name in "abc"
    )
    assert a == b != c
    assert clip_id({"clip": str(tmp_path), "clip_checkpoint": None}) not in (a, c)
    embedded, named = clip_id(ClipProbeSettings()), clip_id(ClipProbeSettings(clip="ViT-B-32-quickgelu"))
    assert len({embedded, named, a, c}) == 4
