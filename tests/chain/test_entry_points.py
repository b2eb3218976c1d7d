"""A package that is installed beside ours brings its own generator and method, by name."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from benchmarks import run
from benchmarks.methods import known_methods
from benchmarks.run import settings_from
from ssl_aug import generate, tune
from ssl_aug.command_line import compose, registered_generators
from ssl_aug.drawing.record import identity
from ssl_aug.settings import Settings
from tests.conftest import write_image_folder

MODULE = '''
from dataclasses import dataclass
import torch
from benchmarks.methods.base import Method, StepOutput, supervised_cross_entropy


class Mirror:
    """The reference, mirrored."""
    image_size = 16

    def __call__(self, reference, class_names, seeds):
        return reference.flip(-1)


def build_mirror(settings, sampling, adapter, place):
    assert adapter is None
    return Mirror()


@dataclass
class PlainSettings:
    scale: float = 1.0


class Plain(Method):
    """Cross-entropy, scaled."""
    uses_unlabeled = False

    def __init__(self, settings):
        super().__init__()
        self.settings = settings

    def forward(self, model, labeled, unlabeled, progress):
        loss = supervised_cross_entropy(model(labeled.weak), labeled.target, labeled.weight)
        return StepOutput({"supervised": self.settings.scale * loss}, {})


PAIR = (Plain, PlainSettings)
NO_PAIR = Plain
NO_SETTINGS = (Plain, int)
'''


def installed(root: Path, points: str) -> Path:
    """A package as pip leaves it: a module, and metadata with entry points."""
    root.mkdir()
    (root / "mirrors.py").write_text(MODULE)
    info = root / "mirrors-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mirrors\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text(points)
    return root


BOTH = "[ssl_aug.generators]\nmirror = mirrors:build_mirror\n[ssl_aug.methods]\nplain = mirrors:PAIR\n"


@pytest.fixture
def points() -> str:
    """What the package registers."""
    return BOTH


@pytest.fixture
def mirrors(points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package is installed in this process."""
    settings_from([])  # hydra registers its own configs, once
    monkeypatch.syspath_prepend(installed(tmp_path / "site", points))
    monkeypatch.setattr(ConfigStore.instance(), "repo", deepcopy(ConfigStore.instance().repo))
    caches = known_methods, registered_generators
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()
    sys.modules.pop("mirrors", None)


def test_a_registered_generator_and_method_run_like_ours(
    tmp_path: Path, mirrors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_image_folder(tmp_path / "photos")
    data = [
        "data=image_folder",
        f"data.root={root}",
        "data.labels_per_class=2",
        "generator=mirror",
        "device=cpu",
        "precision=fp32",
    ]
    training = [
        "method=plain", "method.scale=0.5", "augment=true", "per_sample=2", *data, "model=tiny", "train.steps=2",
        "train.batch_size=4", "train.eval_every=2",
    ]  # fmt: skip
    generate.main(["--per-sample", "2", *data])
    run.main(training)
    folder = next((tmp_path / "outputs" / "synthetic").iterdir())
    identity = json.loads((folder / "generator.json").read_text())
    assert (identity["model_id"], identity["num_images"]) == ("mirrors 2.5", 12)
    result = json.loads((tmp_path / "outputs" / "runs" / "0001-plain-augment" / "result.json").read_text())
    assert (result["method"], result["num_synthetic"], result["status"]) == ("plain", 12, "done")


@pytest.mark.parametrize(
    ("words", "scale", "steps", "crop_scale_min"),
    [
        ([], 1.0, 200, 0.5),
        (["method.scale=0.5"], 0.5, 200, 0.5),
        (["experiment=smoke"], 1.0, 6, 0.2),
        (["experiment=paper", "train.steps=3"], 1.0, 3, 0.2),
        (["protocol=paper"], 1.0, 200, 0.5),
        (["protocol=paper", "method.scale=0.5"], 0.5, 200, 0.5),
    ],
)
def test_a_registered_method_takes_every_experiment_and_protocol(
    words: list[str], scale: float, steps: int, crop_scale_min: float, mirrors: None
) -> None:
    settings = settings_from(["method=plain", *words])
    assert settings.method.scale == scale
    assert (settings.train.steps, settings.view.crop_scale_min) == (steps, crop_scale_min)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "generator.scale=2",
            "(mirrors) can have none of its own: write them into a file and name it",
        ),
        ("tune.steps=5", "tune.steps=5 has no effect on generator=mirror, which is not tuned: leave it out"),
        ("generator.fold=false", "generator.fold=false has no effect on generator=mirror"),
        ("guidance=2", "guidance=2 needs a trained null token, and generator=mirror has none: leave it out"),
        ("condition=none", "condition=none needs a trained null token, and generator=mirror has none"),
        ("condition=borrowed", "condition=borrowed has no effect on generator=mirror: leave it out"),
        ("data=moon", "data=moon: there is no such data; choose one of celeba"),
        ("generator=miror", "choose one of embedded, ldm, mirror, noise"),
    ],
)
def test_what_a_registered_generator_cannot_take_is_refused_in_one_line(word: str, said: str, mirrors: None) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        compose("generate", ["generator=mirror", word], Settings)
    assert "\n" not in str(caught.value)


def test_a_setting_that_a_registered_method_does_not_have_is_refused(mirrors: None) -> None:
    with pytest.raises(ValueError, match=r"method\.scael: there is no such setting"):
        settings_from(["method=plain", "method.scael=1"])


def test_a_mistyped_method_is_told_the_registered_ones(mirrors: None) -> None:
    with pytest.raises(ValueError, match=r"^method=plian: there is no such method; .* pi_model, plain, ps"):
        settings_from(["method=plian"])


@pytest.mark.parametrize("generator", ["mirror", "noise"])
def test_a_generator_that_is_not_tuned_has_nothing_to_tune(generator: str, mirrors: None) -> None:
    with pytest.raises(ValueError, match=f"generator={generator} is not tuned: leave this step out"):
        tune.main([f"generator={generator}"])


def test_a_registered_generators_file_is_part_of_what_a_set_is(mirrors: None, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    records = []
    for content in ("1", "2"):
        file.write_text(content)
        words = ["generator=mirror", f"generator.checkpoint={file}", "generator.image_size=16"]
        records.append(identity(compose("generate", words, Settings), None))
    assert records[0].keys() == records[1].keys()
    assert [name for name in records[0] if records[0][name] != records[1][name]] == ["checkpoint_id"]


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("[ssl_aug.methods]\nfixmatch = mirrors:PAIR\n", "mirrors registers the method fixmatch, which is there"),
        ("[ssl_aug.methods]\nplain = mirrors:GONE\n", "mirrors: mirrors:GONE cannot be imported"),
        ("[ssl_aug.methods]\nplain = mirrors:NO_PAIR\n", "mirrors:NO_PAIR is not a pair of a Method"),
        ("[ssl_aug.methods]\nplain = mirrors:NO_SETTINGS\n", "and its settings dataclass"),
        ("[ssl_aug.generators]\nldm = mirrors:build_mirror\n", "mirrors registers the generator ldm, which is there"),
    ],
)
def test_a_package_that_registers_wrongly_is_named(said: str, mirrors: None) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        settings_from(["method=erm"])
