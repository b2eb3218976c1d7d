"""CLIP's byte pairs, as open_clip reads them."""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

from open_clip.tokenizer import SimpleTokenizer


class ClipTokenizer(SimpleTokenizer):
    """open_clip's. It never changes: copies of a network share its vocabulary, a tenth of a second to copy."""

    def __deepcopy__(self, memo: dict[int, Any]) -> ClipTokenizer:
        return self


def clip_tokenizer(context_length: int) -> ClipTokenizer:
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
def _whole() -> ClipTokenizer:
    return ClipTokenizer()
