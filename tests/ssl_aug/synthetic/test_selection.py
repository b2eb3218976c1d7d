"""Scores say what they are named for, and selection keeps the best of each class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from generators.conditioning import ClipEncoder
from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.drawing.scores import Scorer, prototype_probabilities
from ssl_aug.runtime import placement
from ssl_aug.synthetic import SyntheticSet, best_of_each_class, make_requests, weights_of
from ssl_aug.synthetic.selection import score_of
from ssl_aug.tuning.encodings import read_batch
from tests.conftest import write_image_folder


@pytest.fixture
def labeled(tmp_path: Path) -> LabeledSet:
    """Three classes of two pictures each."""
    root = write_image_folder(tmp_path / "photos")
    names = ("cat", "dog", "eel")
    files = [(root / "train" / name / f"{n}.png", label) for label, name in enumerate(names) for n in range(2)]
    return LabeledSet(tuple(Example(path, label) for path, label in files), names)


def a_set(scores: list[tuple[int, str]]) -> SyntheticSet:
    rows = [
        {"path": f"images/{label}/{n}.png", "label": str(label), "k": "0", "sha256": str(n), "class_score": score}
        for n, (label, score) in enumerate(scores)
    ]
    return SyntheticSet(Path("set"), "id", tuple(rows))


def test_a_copy_of_its_source_scores_one_and_another_class_less(labeled: LabeledSet, tiny_clip: ClipEncoder) -> None:
    scorer = Scorer(tiny_clip.eval(), labeled, 16, placement("cpu", "fp32"))
    requests = make_requests(labeled, 1, 0)
    images = read_batch([request.source.path for request in requests], 16)
    copies = scorer.scores(images, requests)
    of_other_classes = scorer.scores(images.roll(2, dims=0), requests)
    assert [float(score["source_score"]) for score in copies] == [1.0] * len(requests)
    assert all(float(score["source_score"]) < 1 for score in of_other_classes)
    own = [float(score["class_score"]) for score in copies]
    assert all(mine > float(other["class_score"]) for mine, other in zip(own, of_other_classes, strict=True))
    # by hand: the first picture against the mean directions of the three classes
    with torch.no_grad():
        directions = torch.nn.functional.normalize(tiny_clip.embed_images(images)[:, 0], dim=-1)
    means = torch.nn.functional.normalize(directions.view(3, 2, -1).mean(1), dim=-1)
    logits = [float(tiny_clip.model.logit_scale.exp() * directions[0] @ mean) for mean in means]
    by_hand = torch.tensor(logits).exp()
    assert own[0] == pytest.approx(float(by_hand[0] / by_hand.sum()), abs=6e-4)


def test_pictures_of_two_classes_may_share_their_names(tmp_path: Path, tiny_clip: ClipEncoder) -> None:
    """train/cat/images/0.png and train/dog/images/0.png: a copy of each is compared with its own source."""
    root = write_image_folder(tmp_path / "photos")
    examples = []
    for label, name in enumerate(("cat", "dog")):
        (root / "train" / name / "images").mkdir()
        moved = (root / "train" / name / "0.png").rename(root / "train" / name / "images" / "0.png")
        examples.append(Example(moved, label))
    labeled = LabeledSet(tuple(examples), ("cat", "dog"))
    requests = make_requests(labeled, 1, 0)
    scorer = Scorer(tiny_clip.eval(), labeled, 16, placement("cpu", "fp32"))
    scores = scorer.scores(read_batch(labeled.paths, 16), requests)
    assert [score["source_score"] for score in scores] == ["1.000", "1.000"]


def test_probabilities_sum_to_one_and_follow_the_cosine() -> None:
    prototypes = torch.eye(3)
    told = prototype_probabilities(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]), prototypes, 5.0)
    assert torch.allclose(told.sum(1), torch.ones(2))
    assert told.argmax(1).tolist() == [0, 1]


def test_the_best_of_each_class_are_kept_in_the_sets_order() -> None:
    synthetic = a_set([(0, "0.1"), (0, "0.9"), (1, "0.2"), (0, "0.5"), (1, "0.3"), (0, "0.7")])
    kept = best_of_each_class(synthetic, 0.5)
    assert [row["class_score"] for row in kept.rows] == ["0.9", "0.3", "0.7"]
    assert best_of_each_class(synthetic, 1.0).rows == synthetic.rows
    assert len(best_of_each_class(synthetic, 0.01)) == 2  # one of each class at least
    assert kept.id != synthetic.id


def test_weights_are_the_sets_weight_times_the_score() -> None:
    synthetic = a_set([(0, "0.25"), (1, "1.0")])
    assert weights_of(synthetic, 0.5, "class_score") == [0.125, 0.5]
    assert weights_of(synthetic, 0.5, None) == [0.5, 0.5]


def test_a_set_without_scores_is_refused_by_name() -> None:
    synthetic = a_set([(0, "")])
    with pytest.raises(ValueError, match=r"images/0/0.png has no class_score.*leave mix.weight_by"):
        best_of_each_class(synthetic, 0.5)
    with pytest.raises(ValueError, match="sha is no score: choose one of source_score, class_score"):
        score_of({"path": "a"}, "sha")
