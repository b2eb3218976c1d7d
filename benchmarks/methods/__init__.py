"""Semi-supervised methods, one file each. A new one is a file and a line here (docs/add_a_method.md)."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from benchmarks.classifier import Classifier
from benchmarks.method_facts import METHOD_ENTRY_POINTS, MethodFacts
from benchmarks.methods.adamatch import AdaMatch, AdaMatchSettings
from benchmarks.methods.base import Method
from benchmarks.methods.clip_means import ClipMeans, ClipMeansSettings
from benchmarks.methods.clip_probe import ClipProbe, ClipProbeSettings
from benchmarks.methods.debiasmatch import DebiasMatch, DebiasMatchSettings
from benchmarks.methods.dst import DST, DSTSettings
from benchmarks.methods.erm import ERM, ERMSettings
from benchmarks.methods.fixmatch import FixMatch, FixMatchSettings
from benchmarks.methods.flexmatch import FlexMatch, FlexMatchSettings
from benchmarks.methods.freematch import FreeMatch, FreeMatchSettings
from benchmarks.methods.mean_teacher import MeanTeacher, MeanTeacherSettings
from benchmarks.methods.noisy_student import NoisyStudent, NoisyStudentSettings
from benchmarks.methods.pi_model import PiModel, PiModelSettings
from benchmarks.methods.pseudo_label import PseudoLabel, PseudoLabelSettings
from benchmarks.methods.remixmatch import ReMixMatch, ReMixMatchSettings
from benchmarks.methods.self_tuning import SelfTuning, SelfTuningSettings
from benchmarks.methods.simmatch import SimMatch, SimMatchSettings
from benchmarks.methods.softmatch import SoftMatch, SoftMatchSettings
from benchmarks.methods.uda import UDA, UDASettings

# name -> the method and its settings; configs/method/<name>.yaml holds what the benchmark sets otherwise
METHODS: dict[str, tuple[type[Method], type]] = {
    "erm": (ERM, ERMSettings),
    "pseudo_label": (PseudoLabel, PseudoLabelSettings),
    "uda": (UDA, UDASettings),
    "fixmatch": (FixMatch, FixMatchSettings),
    "self_tuning": (SelfTuning, SelfTuningSettings),
    "flexmatch": (FlexMatch, FlexMatchSettings),
    "debiasmatch": (DebiasMatch, DebiasMatchSettings),
    "dst": (DST, DSTSettings),
    "softmatch": (SoftMatch, SoftMatchSettings),
    "freematch": (FreeMatch, FreeMatchSettings),
    "adamatch": (AdaMatch, AdaMatchSettings),
    "simmatch": (SimMatch, SimMatchSettings),
    "remixmatch": (ReMixMatch, ReMixMatchSettings),
    "pi_model": (PiModel, PiModelSettings),
    "mean_teacher": (MeanTeacher, MeanTeacherSettings),
    "noisy_student": (NoisyStudent, NoisyStudentSettings),
    "clip_probe": (ClipProbe, ClipProbeSettings),
    "clip_means": (ClipMeans, ClipMeansSettings),
}


@cache
def known_methods() -> dict[str, tuple[type[Method], type]]:
    """`METHODS`, and those that installed packages register.

    Raises:
        ValueError: a package registers a name of ours, or something that is no such pair.
    """
    known = dict(METHODS)
    for point in entry_points(group=METHOD_ENTRY_POINTS):
        package = point.dist.name if point.dist else "another package"
        try:
            pair = point.load()
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{package}: {point.value} cannot be imported ({error})") from error
        if point.name in known:
            raise ValueError(f"{package} registers the method {point.name}, which is there already: rename it")
        if not (isinstance(pair, tuple) and len(pair) == 2 and issubclass(pair[0], Method) and is_dataclass(pair[1])):
            raise ValueError(f"{package}: {point.value} is not a pair of a Method and its settings dataclass")
        known[point.name] = pair
    return known


def method_name(settings: Any) -> str:
    """The name under which these settings' method is registered."""
    return next(name for name, (_, schema) in known_methods().items() if type(settings) is schema)


def facts_of(settings: Any) -> MethodFacts:
    """What a plan needs to know of the method whose settings these are."""
    name = method_name(settings)
    kind, _ = known_methods()[name]
    return MethodFacts(name, kind.uses_unlabeled, kind.on_frozen_clip)


def is_on_frozen_clip(settings: Any) -> bool:
    """Whether the method trains on a frozen CLIP, which its settings name, in place of the run's model."""
    return known_methods()[method_name(settings)][0].on_frozen_clip


def build_method(settings: Any, model: Classifier, num_labeled: int, num_unlabeled: int) -> Method:
    """The method whose settings these are, ready for this model and so many images."""
    kind, _ = known_methods()[method_name(settings)]
    method = kind(settings)
    method.prepare(model, num_labeled, num_unlabeled)
    return method
