"""What comes once for an image and what every evaluation of the network takes are told apart, then added up."""

from __future__ import annotations

import pytest

from ssl_aug.drawing.estimate import FEW, MANY, Cost, cost


def test_what_comes_once_is_not_counted_with_every_evaluation() -> None:
    once, evaluation = 4.0, 0.5

    def seconds(evaluations: int) -> float:
        return once + evaluations * evaluation

    found = cost(seconds(FEW), seconds(MANY))
    assert found.of(1, 40) == pytest.approx(seconds(40))
    assert found.of(10, 10 * 40) == pytest.approx(10 * seconds(40))
    assert found.of(0, 40) == pytest.approx(40 * evaluation)  # tuning decodes nothing


@pytest.mark.parametrize("few", [3.0, 3.5, 0.5], ids=["alike", "the longer was faster", "more than each step"])
def test_a_clock_that_tells_nothing_apart_gives_every_evaluation_its_share(few: float) -> None:
    assert cost(few, 3.0) == Cost(0.0, 3.0 / MANY)
