"""FID, KID and Inception Score are torch-fidelity's, of the same features; and no other file passes for its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch_fidelity import metric_fid, metric_isc, metric_kid
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ssl_aug.evaluation import inception
from ssl_aug.evaluation.features import Extractor, features_of
from ssl_aug.evaluation.measures import MomentSums, ScoreSums, frechet_distance, kernel_distance
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.sums import Images, Sums, splits_of
from ssl_aug.evaluation.table_text import titles


class Small(nn.Module):
    """Stands in for the network: (b, 3, h, w) uint8 -> 6 features and 5 logits, by a fixed projection."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = nn.functional.adaptive_avg_pool2d(images.float() / 64, 4).flatten(1)
        weights = torch.randn(11, pooled.shape[1], generator=torch.Generator().manual_seed(0))
        features = pooled @ weights.T
        return features[:, :6], features[:, 6:]


def pictures(folder: Path, seed: int, count: int = 50) -> tuple[Path, ...]:
    rng = np.random.default_rng(seed)
    folder.mkdir()
    paths = tuple(folder / f"{number}.png" for number in range(count))  # 10.png stands before 2.png in a list of names
    for path in paths:
        Image.fromarray(rng.integers(0, 200 + 50 * seed, (16, 16, 3)).astype(np.uint8)).save(path)
    return paths


def sums_of(paths: tuple[Path, ...]) -> Sums:
    network = Small()
    sums = Sums(Images(paths), Extractor(6, lambda images: inception.embed(network, images), 5), None, None)
    for first in range(0, len(paths), 20):
        rows = slice(first, min(first + 20, len(paths)))
        images = np.stack([np.asarray(Image.open(path)) for path in paths[rows]])
        sums.add(rows, {16: torch.from_numpy(images)}, 16)
    return sums


def test_the_figures_of_files_are_those_of_torch_fidelity(tmp_path: Path) -> None:
    drawn, real = pictures(tmp_path / "drawn", 0), pictures(tmp_path / "real", 1)
    ours, of_real = sums_of(drawn), sums_of(real)

    def theirs(paths: tuple[Path, ...]) -> tuple[torch.Tensor, torch.Tensor]:  # as it lists them
        images = np.stack([np.asarray(Image.open(path)) for path in sorted(paths, key=str)])
        found: tuple[torch.Tensor, torch.Tensor] = Small()(torch.from_numpy(images).permute(0, 3, 1, 2))
        return found

    (features, logits), (of_theirs, _) = theirs(drawn), theirs(real)
    statistics = [metric_fid.fid_features_to_statistics(rows.double()) for rows in (of_theirs, features)]
    fid = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(of_real.moments.moments(), ours.moments.moments()) == pytest.approx(fid, abs=1e-3)
    score = metric_isc.isc_features_to_metric(logits)
    assert ours.scores is not None
    expected = (score["inception_score_mean"], score["inception_score_std"])
    assert ours.scores.score() == pytest.approx(expected, abs=1e-6)
    kid = metric_kid.kid_features_to_metric(of_theirs.double(), features.double(), kid_subsets=1, kid_subset_size=50)
    mean = kid["kernel_inception_distance_mean"]
    assert kernel_distance(of_real.kept, ours.kept)[0] == pytest.approx(mean, rel=1e-6)


def test_a_distance_where_the_images_span_less_than_the_space_is_finite_and_zero_to_itself() -> None:
    sums = MomentSums(40)
    sums.add(torch.randn(10, 40, generator=torch.Generator().manual_seed(0)))
    assert frechet_distance(sums.moments(), sums.moments()) == pytest.approx(0.0, abs=1e-6)


def test_every_image_is_in_one_split_and_splits_are_as_large_as_they_can_be() -> None:
    splits = splits_of(tuple(Path(f"{number}.png") for number in range(45)))
    assert sorted(splits.bincount().tolist()) == [4] * 5 + [5] * 5
    assert ScoreSums(10, 3).probabilities.shape == (10, 3)


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    path = tmp_path / "mine.pth"
    torch.save({"fc.bias": torch.zeros(3)}, path)
    return str(path)


def settings(checkpoint: str | None, unverified: bool = False) -> EvaluateSettings:
    return EvaluateSettings(features="inception", inception_checkpoint=checkpoint, inception_unverified=unverified)


def test_a_file_that_is_not_the_published_one_is_refused_by_its_hash(foreign: str) -> None:
    with pytest.raises(ValueError, match=r"mine.pth: its sha256 begins with \w{8}, .* with 6726825d: take https"):
        features_of(settings(foreign))


def test_with_another_file_nothing_is_called_fid(foreign: str) -> None:
    name, _ = features_of(settings(foreign, unverified=True))
    columns = titles(name)
    assert columns["frechet_distance"].startswith("FD(unverified inception ")
    assert not any(title.startswith(("FID", "KID")) for title in columns.values())
    assert set(titles("").values()) >= {"FID", "KID x1000", "IS"}
    with pytest.raises(ValueError, match="no weights of this network"):
        inception.load_inception(Path(foreign))


def test_without_weights_and_network_it_is_said_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(FileNotFoundError, match=r"fetch https://\S+6726825d.pth and give inception_checkpoint=FILE"):
        features_of(settings(None))
    with pytest.raises(FileNotFoundError, match=r"inception_checkpoint=gone\.pth: there is no such file"):
        features_of(settings("gone.pth"))


def test_the_weights_are_found_in_torch_hubs_cache_under_either_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / inception.NAMES[1]).write_bytes(b"weights")
    assert inception.inception_file(None, unverified=True).name == inception.NAMES[1]


def test_weights_that_would_run_code_are_refused_before_torch_fidelity_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "code.pth"
    torch.save({"fc.bias": test_weights_that_would_run_code_are_refused_before_torch_fidelity_reads_them}, path)
    with pytest.raises(ValueError, match="nothing was run"):
        inception.load_inception(path)


def test_torch_fidelity_still_has_the_layers_that_the_figures_are_of() -> None:
    assert {"2048", "logits_unbiased"} <= set(FeatureExtractorInceptionV3.get_provided_features_list())
    assert inception.SHA256_STARTS in inception.URL
