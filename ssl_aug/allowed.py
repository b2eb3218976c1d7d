"""What a setting takes, for all who do not know the generators' package."""

from generators.allowed import (
    AtLeast0,
    AtLeast1,
    Below1,
    ImageSize,
    OneOf,
    PathText,
    Range,
    Share,
    check,
    shown,
    user_path,
)

__all__ = [
    "AtLeast0",
    "AtLeast1",
    "Below1",
    "ImageSize",
    "OneOf",
    "PathText",
    "Range",
    "Share",
    "check",
    "shown",
    "user_path",
]
