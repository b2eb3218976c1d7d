"""Which images a step takes: every one once in each pass."""

from collections import Counter

import torch

from ssl_aug.tuning.batches import pass_after_pass


def test_every_item_comes_once_in_each_pass() -> None:
    drawn = torch.cat([pass_after_pass(10, 4, step, seed=3) for step in range(10)]).tolist()
    for start in range(0, 40, 10):
        assert sorted(drawn[start : start + 10]) == list(range(10))
    assert drawn[:10] != drawn[10:20]


def test_a_set_smaller_than_the_batch_is_repeated_evenly() -> None:
    count = Counter(pass_after_pass(3, 7, 0, seed=0).tolist())
    assert len(count) == 3
    assert max(count.values()) - min(count.values()) <= 1
