"""What is asked for: one request is one image, with a seed of its own; chunks of them are the units of work."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.data.layout import class_folder
from ssl_aug.runtime import derived_seed

LONGEST_STEM = 180  # bytes; a file's name may have 255, and what is half written has a longer one


@dataclass(frozen=True)
class Request:
    """One synthetic image: the `k`-th drawn from `source`. Its seed comes from run seed, source and k alone."""

    source: Example
    k: int
    seed: int
    path: str  # inside the set's folder


def make_requests(labeled: LabeledSet, per_sample: int, seed: int) -> list[Request]:
    """All requests, by k first and then by source, so that fewer per sample are a prefix of more."""
    stems = _unique_stems(labeled)
    return [
        Request(
            source,
            k,
            derived_seed(seed, source.key, k),
            f"images/{class_folder(source.label, labeled.class_names)}/{stem}_{k}.png",
        )
        for k in range(per_sample)
        for source, stem in zip(labeled.examples, stems, strict=True)
    ]


def make_chunks(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """Requests cut into the units of work, resume and sharding; none spans two values of k.

    A network's output depends on the batch's size in the last bits. Chunks that depend on neither `per_sample` nor
    the number of processes make a resumed, a sharded and a longer run equal to a plain one, byte for byte.
    """
    chunks: list[list[Request]] = []
    for request in requests:
        if not chunks or len(chunks[-1]) == size or chunks[-1][0].k != request.k:
            chunks.append([])
        chunks[-1].append(request)
    return chunks


def _unique_stems(labeled: LabeledSet) -> list[str]:
    """File stems of the labeled images; shortened where they are long, and with some digits more then and where two
    of a class share one (a/1.jpg, b/1.jpg).
    """
    stems = [re.sub(r"\s+", "-", normalize("NFC", example.path.stem)) for example in labeled.examples]
    count = Counter((example.label, stem) for example, stem in zip(labeled.examples, stems, strict=True))
    found = []
    for example, stem in zip(labeled.examples, stems, strict=True):
        short = stem if len(stem.encode()) <= LONGEST_STEM else stem.encode()[:LONGEST_STEM].decode(errors="ignore")
        is_own = short == stem and count[example.label, stem] == 1
        found.append(short if is_own else f"{short}-{hashlib.sha256(example.key.encode()).hexdigest()[:6]}")
    return found
