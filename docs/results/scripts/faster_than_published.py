"""Group contrast as one product against a loop over images; FlexMatch's counts kept against counted anew.

python docs/results/scripts/faster_than_published.py
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.methods.flexmatch import FlexMatch, FlexMatchSettings
from benchmarks.methods.self_tuning import group_contrast


def looped(query: Tensor, key: Tensor, label: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Self-Tuning's group contrast as published: a loop over images."""
    losses = []
    for q, k, y in zip(query, key, label.tolist(), strict=True):
        positives = torch.cat([k[None], queue[y]])
        others = torch.cat([queue[c] for c in range(len(queue)) if c != y])
        shares = (torch.cat([positives, others]) @ q / temperature).log_softmax(0)[: len(positives)]
        losses.append((-torch.log(torch.tensor(float(len(positives)))) - shares).mean())
    return torch.stack(losses).mean()


def least_microseconds(calls: Sequence[Callable[[], object]], times: int) -> list[float]:
    """The least time of one call in five rounds, in which the calls take turns."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(5):
        for call, row in zip(calls, found, strict=True):
            start = time.perf_counter()
            for _ in range(times):
                call()
            row.append((time.perf_counter() - start) / times)
    return [1e6 * min(row) for row in found]


def main() -> None:
    """Prints how the losses differ, and the times."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    query, key = normalize(torch.randn(32, 1024), dim=1), normalize(torch.randn(32, 1024), dim=1)
    queue, label = normalize(torch.randn(196, 32, 1024), dim=2), torch.randint(0, 196, (32,))
    sizes = (query, key, label, queue, 0.07)
    print("losses differ by", abs(float(looped(*sizes) - group_contrast(*sizes))))
    times = least_microseconds([lambda: looped(*sizes), lambda: group_contrast(*sizes)], 2)
    print("contrast: looped, at once (us)", times)
    for n in (7_360, 1_000_000):
        method = FlexMatch(FlexMatchSettings())
        method.register_buffer("last", torch.full((n,), -1))
        method.register_buffer("counts", torch.zeros(197))
        index, label = torch.randint(0, n, (32,)), torch.randint(0, 196, (32,))
        anew = partial(lambda method: Counter(method.last.tolist()), method)
        times = least_microseconds([anew, partial(method.remember, index, label)], 3)
        print(n, "unlabeled: counted anew, kept (us)", times)


if __name__ == "__main__":
    main()
