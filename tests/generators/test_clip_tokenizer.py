"""The one vocabulary of CLIP's byte pairs."""

from __future__ import annotations

import copy

from generators.clip_tokenizer import clip_tokenizer
from generators.conditioning import ClipEncoder


def test_copies_of_a_network_share_the_vocabulary(tiny_clip: ClipEncoder) -> None:
    copied = copy.deepcopy(tiny_clip)
    assert copied.model is not tiny_clip.model and copied.tokenizer.encoder is tiny_clip.tokenizer.encoder


def test_tokenizers_of_several_lengths_are_of_one_vocabulary() -> None:
    short, long = clip_tokenizer(8), clip_tokenizer(16)
    assert (short(["a cat"]).shape, long(["a cat"]).shape) == ((1, 8), (1, 16))
    assert short.encoder is long.encoder
