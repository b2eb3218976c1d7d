"""What settings of several methods take; `check(self, "method.")` refuses all else in a line that names the setting."""

from __future__ import annotations

from typing import Annotated

from ssl_aug.allowed import Above0, AtLeast1, Below1, Fraction, NotNegative, OneOf, PathText, Range, check

Confidence = Fraction
Weight = NotNegative
WeightOrERM = Annotated[float, Range(0, above=True, why="or for none method=erm")]
WeightOrFixMatch = Annotated[float, Range(0, above=True, why="or for none method=fixmatch")]

__all__ = [
    "Above0",
    "AtLeast1",
    "Below1",
    "Confidence",
    "Fraction",
    "NotNegative",
    "OneOf",
    "PathText",
    "Range",
    "Weight",
    "WeightOrERM",
    "WeightOrFixMatch",
    "check",
]
