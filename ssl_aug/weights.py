"""Files of weights, for the packages that train classifiers and know no generators."""

from __future__ import annotations

from generators.kept_weights import read_own, write_weights
from generators.weights import read_weights

__all__ = ["read_own", "read_weights", "write_weights"]
