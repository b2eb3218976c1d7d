"""What a setting takes, for all who do not know the generators' package."""

from generators.allowed import (
    Above0,
    AtLeast0,
    AtLeast1,
    Below1,
    Fraction,
    ImageSize,
    NotNegative,
    OneOf,
    PathText,
    Range,
    Share,
    check,
    shown,
    user_path,
)

__all__ = [
    "Above0",
    "AtLeast0",
    "AtLeast1",
    "Below1",
    "Fraction",
    "ImageSize",
    "NotNegative",
    "OneOf",
    "PathText",
    "Range",
    "Share",
    "check",
    "shown",
    "user_path",
]
