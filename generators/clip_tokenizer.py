"""CLIP's byte pairs, as open_clip reads them."""

from __future__ import annotations

from copy import copy
from functools import cache

from open_clip.tokenizer import SimpleTokenizer


def clip_tokenizer(context_length: int) -> SimpleTokenizer:
    """A tokenizer of its own length over the one vocabulary, which takes a twentieth of a second to read.

    Args:
        context_length: tokens of every prompt; longer ones are cut.
    """
    tokenizer = copy(_whole())
    tokenizer.context_length = context_length
    return tokenizer


def clip_vocabulary() -> dict[str, int]:
    """Every token and its number."""
    return dict(_whole().encoder)


@cache
def _whole() -> SimpleTokenizer:
    return SimpleTokenizer()
