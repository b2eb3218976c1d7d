"""How the words of a command line are understood."""

from __future__ import annotations

import pytest

from benchmarks.run import settings_from
from ssl_aug.command_line import compose
from ssl_aug.settings import Settings
from ssl_aug.words import overrides_of

FLAGS = {"--per-sample": "per_sample", "--out": "synthetic.root"}


@pytest.mark.parametrize(
    "value",
    [
        "a red car, side view",
        "it's a car: red (left)",
        "x = {y}",
        "[1,2]",
        "1e3",
        "true",
        "a\\b",
        "50% off",
        "+1",
        "ends\\",
    ],
)
def test_texts_are_taken_as_they_are_written(value: str) -> None:
    assert compose("generate", [f"prompt={value}"], Settings).prompt == value
    assert compose("generate", [f"data.root={value}"], Settings).data.root == value
    assert compose("generate", overrides_of(["--out", value], FLAGS, {}), Settings).synthetic.root == value


def test_hydras_own_quotes_and_null_mean_what_they_mean_to_hydra() -> None:
    assert compose("generate", ["prompt='a red car, side view'"], Settings).prompt == "a red car, side view"
    assert compose("generate", ["prompt=null"], Settings).prompt is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--per_sample", "3"], "--per_sample: there is no such flag; did you mean --per-sample?"),
        (["--persample=3"], "--persample=3: there is no such flag; did you mean --per-sample?"),
        (["--data.root", "P"], "--data.root: there is no such flag; settings are written without dashes, data.root=P"),
        (["--data.root=P"], "settings are written without dashes, data.root=P"),
        (["--sampler"], "there is no such flag; --per-sample, --out or name=value"),
        (["data.root", "=", "P"], "data.root: settings are written without spaces, data.root=P"),
        (["data.root=", "P"], "P: settings are written without spaces, data.root=P"),
        (["data.root", "=P"], "data.root: settings are written without spaces, data.root=P"),
        (["seed=1", "data.root"], "data.root: settings are written without spaces, data.root=VALUE"),
    ],
)
def test_slips_are_told_what_was_meant(words: list[str], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        compose("generate", overrides_of(words, FLAGS, {}), Settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--data.root", "P"],
            "--data.root: there is no such option; settings are written without dashes, data.root=P",
        ),
        (["method", "=", "erm"], "method: settings are written without spaces, method=erm"),
    ],
)
def test_the_benchmark_tells_the_same(words: list[str], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        settings_from(words)
    assert said in str(caught.value)
