"""What is asked of weights before they are written, for all who do not know the generators' package."""

from generators.weights import refuse_non_finite

__all__ = ["refuse_non_finite"]
