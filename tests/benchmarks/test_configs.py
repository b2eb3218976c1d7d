"""What the configs give each method under each experiment and protocol."""

from __future__ import annotations

import pytest

from benchmarks.methods import METHODS
from benchmarks.run import settings_from
from benchmarks.settings import TrainSettings, ViewSettings
from ssl_aug.command_line import config_folder

# On StanfordCars with 4 labels per class: the published commands' steps, learning rate and gamma, and what they say of
# the method. Some are not among them: FlexMatch's steps with FixMatch's learning rate.
CARS: dict[str, tuple[int, float, float, dict[str, float]]] = {
    "erm": (10000, 0.03, 4e-4, {}),
    "pseudo_label": (20000, 0.03, 4e-4, {"threshold": 0.95}),
    "pi_model": (20000, 0.03, 4e-4, {"unlabeled_weight": 0.1}),
    "mean_teacher": (20000, 0.05, 1e-4, {"unlabeled_weight": 0.1}),
    "uda": (30000, 0.003, 4e-4, {"threshold": 0.7, "temperature": 0.85}),
    "fixmatch": (30000, 0.01, 4e-4, {"threshold": 0.7, "strict": True, "strong_weight": 0.1}),
    "self_tuning": (30000, 0.01, 4e-4, {}),
    "flexmatch": (45000, 0.03, 4e-4, {"threshold": 0.95}),
    "debiasmatch": (45000, 0.03, 4e-4, {"threshold": 0.9, "debias": 1.0}),
    "dst": (45000, 0.01, 2e-4, {"threshold": 0.7, "worst_labeled_weight": 2.0}),
    "softmatch": (45000, 0.01, 4e-4, {}),
    "freematch": (45000, 0.01, 4e-4, {}),
    "adamatch": (45000, 0.01, 4e-4, {}),
    "simmatch": (45000, 0.01, 4e-4, {}),
    "remixmatch": (45000, 0.01, 4e-4, {}),
    "noisy_student": (45000, 0.01, 4e-4, {}),
}
UNPUBLISHED = ("softmatch", "freematch", "adamatch", "simmatch", "remixmatch", "noisy_student")
THRESHOLDS = {"adamatch": 0.9, "noisy_student": 0.0}  # a relative one, and none; else 0.7 on the embedded world
SLOWER = ("uda", "self_tuning", "dst")  # a third of the learning rate of the others
EXPERIMENTS = ("none", "demo", "smoke", "paper", "sd15")


def test_every_method_has_its_config_and_every_published_recipe_a_method() -> None:
    assert {path.stem for path in (config_folder() / "method").glob("*.yaml")} == METHODS.keys()
    published = {path.stem for path in (config_folder() / "recipe" / "published").glob("*.yaml")}
    assert published <= {f"paper_{name}" for name in METHODS}
    assert {f"paper_{name}" for name in CARS.keys() - {*UNPUBLISHED}} <= published


# Each method once, and each experiment.
PAIRS = [*((name, "none") for name in METHODS), *((name, each) for name in ("erm", "dst") for each in EXPERIMENTS[1:])]


@pytest.mark.parametrize(("name", "experiment"), PAIRS)
def test_the_paper_protocol_is_the_methods_own_defaults(name: str, experiment: str) -> None:
    words, default = [f"method={name}", f"experiment={experiment}"], METHODS[name][1]()
    plain, paper = settings_from(words), settings_from([*words, "protocol=paper"])
    assert paper.method == default
    assert (paper.train, paper.view, paper.model) == (plain.train, plain.view, plain.model)


@pytest.mark.parametrize("words", [["protocol=paper"], ["experiment=paper"], ["experiment=paper", "protocol=paper"]])
def test_the_command_line_wins_over_every_recipe_and_protocol(words: list[str]) -> None:
    own = ["method.threshold=0.33", "method.strong_weight=0.2", "train.steps=7", "view.crop_scale_min=0.4"]
    for given in ([*words, "method=flexmatch", *own], [*own, "method=flexmatch", *words]):
        settings = settings_from(given)
        assert (settings.method.threshold, settings.method.strong_weight) == (0.33, 0.2)
        assert (settings.train.steps, settings.view.crop_scale_min) == (7, 0.4)


@pytest.mark.parametrize("name", CARS)
def test_the_paper_preset_is_the_benchmarks_on_stanford_cars(name: str) -> None:
    settings = settings_from([f"method={name}", "experiment=paper"])
    steps, learning_rate, gamma, of_method = CARS[name]
    schedule = "multistep" if name == "self_tuning" else "exp"
    assert settings.train == TrainSettings(
        steps=steps, learning_rate=learning_rate, gamma=gamma, schedule=schedule, num_workers=8, cache_megabytes=8192
    )
    assert settings.view == ViewSettings()
    assert {key: getattr(settings.method, key) for key in of_method} == of_method
    assert (settings.data.name, settings.data.labels_per_class) == ("stanford_cars", 4)
    assert (settings.model.name, settings.model.image_size) == ("resnet50.tv_in1k", 224)
    assert settings_from([f"method={name}", "experiment=paper", "model=tiny"]).model.name == "test_resnet"


@pytest.mark.parametrize("name", CARS)
def test_toycars_have_their_own_values(name: str) -> None:
    plain, demo = (settings_from([f"method={name}", f"experiment={word}"]) for word in ("none", "demo"))
    assert plain.train == TrainSettings(steps=200, learning_rate=0.0003, eval_every=200)
    assert demo.train == TrainSettings(steps=200, learning_rate=0.0003, eval_every=100)
    elsewhere = TrainSettings(
        steps=600 if name == "erm" else 1200, learning_rate=0.01 if name in SLOWER else 0.03, eval_every=200
    )
    for others in (["data=digits"], ["model=tiny"], ["model.name=resnet18"]):
        assert settings_from([f"method={name}", *others]).train == elsewhere
    assert plain.view == demo.view == ViewSettings(crop_scale_min=0.5, test_center_share=1.0)
    assert plain.method == demo.method != METHODS[name][1]()
    assert getattr(plain.method, "threshold", 0.7) == THRESHOLDS.get(name, 0.7)


@pytest.mark.parametrize("name", METHODS)
def test_smoke_is_a_handful_of_steps_for_every_method(name: str) -> None:
    smoke = settings_from([f"method={name}", "experiment=smoke"])
    assert smoke.train == TrainSettings(steps=6, batch_size=8, unlabeled_batch_size=8, eval_every=3, log_every=1)
    assert smoke.view == ViewSettings(flip=False)
    assert (smoke.data.name, smoke.model.name) == ("digits", "test_resnet")
