"""What is kept of hydra's work changes nothing of what it gives."""

from __future__ import annotations

import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException

from benchmarks.methods import METHODS
from benchmarks.registering import register_methods
from benchmarks.settings import BenchmarkSettings
from ssl_aug import composition
from ssl_aug.command_line import config_folder
from ssl_aug.composition import learn, tree_of
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.settings import Settings

VALUES = ["seed=3", "data.labels_per_class=2", "data.root='a, b'", "data.root=null", "guidance=1.5", "seed=4"]
OF_BENCHMARK = ["train.steps=7", "++model.arguments={a: 1}", "++model.arguments.b=2", "mix.keep_share=0.5"]


def by_hydra(config_name: str, words: list[str]) -> object:
    return composition._by_hydra(config_name, words, config_folder())


@pytest.mark.parametrize(
    ("config_name", "schema", "groups"),
    [
        ("generate", Settings, []),
        ("generate", Settings, ["data=digits", "generator=noise"]),
        ("generate", Settings, ["experiment=paper"]),
        ("evaluate", EvaluateSettings, ["experiment=smoke"]),
    ],
)
def test_values_over_kept_groups_give_hydras_tree(config_name: str, schema: type, groups: list[str]) -> None:
    learn(schema, f"{config_name}_schema")
    for words in (groups, VALUES, [*VALUES[:3], *groups, *VALUES[3:]]):
        assert tree_of(config_name, words, config_folder()) == by_hydra(config_name, words)


@pytest.mark.parametrize("method", METHODS)
def test_so_do_those_of_a_run(method: str) -> None:
    learn(BenchmarkSettings, "benchmark_schema")
    register_methods([method])
    for groups in ([], ["experiment=paper"], ["protocol=paper", "model=resnet50"]):
        words = [*groups, f"method={method}", *OF_BENCHMARK]
        assert tree_of("benchmark", words, config_folder()) == by_hydra("benchmark", words)


def test_what_is_kept_is_nobodys_to_change() -> None:
    learn(Settings, "generate_schema")
    first = tree_of("generate", [], config_folder())
    first.seed = 77
    assert tree_of("generate", [], config_folder()).seed == 0


def test_a_generator_that_is_learned_later_is_there() -> None:
    learn(Settings, "generate_schema")
    with pytest.raises(HydraException):
        tree_of("generate", ["generator=later"], config_folder())
    ConfigStore.instance().store(group="generator", name="later", node={"name": "later"})
    try:
        assert tree_of("generate", ["generator=later"], config_folder()).generator.name == "later"
        ConfigStore.instance().store(group="generator", name="later", node={"name": "other"})
        assert tree_of("generate", ["generator=later"], config_folder()).generator.name == "other"
    finally:
        del ConfigStore.instance().repo["generator"]["later.yaml"]


@pytest.mark.parametrize("word", ["tune.stesp=3", "tune.steps=x", "seed=1,2", "+seed=1"])
def test_words_that_do_not_fit_are_refused_by_hydra_itself(word: str) -> None:
    learn(Settings, "generate_schema")
    with pytest.raises(HydraException) as found:
        tree_of("generate", [word], config_folder())
    with pytest.raises(HydraException) as expected:
        by_hydra("generate", [word])
    assert str(found.value) == str(expected.value)
