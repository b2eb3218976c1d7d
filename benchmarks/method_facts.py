"""What is known of a method without its class. Neither torch nor our other packages."""

from __future__ import annotations

from dataclasses import dataclass

METHOD_ENTRY_POINTS = "ssl_aug.methods"  # group in which other packages register a (Method, settings dataclass) pair


@dataclass(frozen=True)
class MethodFacts:
    """What a run's plan needs to know of its method."""

    name: str
    uses_unlabeled: bool
    on_frozen_clip: bool = False  # its settings' `clip` takes the place of the model
