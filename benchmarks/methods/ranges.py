"""What settings of several methods take; `check(self, "method.")` refuses all else in a line that names the setting."""

from __future__ import annotations

from typing import Annotated

from ssl_aug.allowed import AtLeast0, AtLeast1, Below1, OneOf, Range, check

Confidence = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0)]
Above0 = Annotated[float, Range(0, above=True)]
WeightOrERM = Annotated[float, Range(0, above=True, why="or for none method=erm")]
WeightOrFixMatch = Annotated[float, Range(0, above=True, why="or for none method=fixmatch")]

__all__ = [
    "Above0",
    "AtLeast0",
    "AtLeast1",
    "Below1",
    "Confidence",
    "OneOf",
    "Range",
    "Weight",
    "WeightOrERM",
    "WeightOrFixMatch",
    "check",
]
