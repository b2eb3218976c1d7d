"""From a command line's words to settings, and the one line for each mistake."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.settings import BenchmarkSettings
from ssl_aug.command_line import compose, config_folder
from ssl_aug.evaluation.settings import EvaluateSettings, variants
from ssl_aug.export.settings import ExportSettings
from ssl_aug.generate import FLAGS, SWITCHES
from ssl_aug.importing.settings import ImportSettings
from ssl_aug.settings import TUNING, Settings, deciding, deciding_pictures, short_hash
from ssl_aug.synthetic import default_folder
from ssl_aug.words import overrides_of


def test_without_words_the_embedded_world_is_meant() -> None:
    settings = compose("generate", [], Settings)
    assert (settings.data.name, settings.generator.name, settings.per_sample) == ("toycars", "embedded", 10)
    assert (settings.sampler, settings.steps) == ("dpmpp", 20)
    sampling = settings.sampling()
    assert (sampling.condition, sampling.mask_rate) == ("borrowed", 0.0)


def test_the_papers_preset() -> None:
    settings = compose("generate", ["experiment=paper", "data.root=/photos"], Settings)
    assert (settings.data.name, settings.generator.name, settings.generator.image_size) == ("stanford_cars", "ldm", 256)
    sampling = settings.sampling()
    assert (sampling.sampler, sampling.steps, sampling.guidance) == ("ddim", 200, 1.0)
    assert (sampling.condition, sampling.mask_rate) == ("image", 0.5)
    assert (settings.tune.base_learning_rate, settings.tune.batch_size, settings.tune.approach) == (2e-6, 32, "anl")
    assert (settings.data.labels_per_class, settings.per_sample) == (4, 10)
    assert (settings.data.crop_to_box, settings.tune.gradient_clip) == (False, 0)


def test_the_command_line_wins_over_the_preset() -> None:
    assert compose("generate", ["experiment=paper", "steps=50", "data=digits"], Settings).steps == 50


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data=moon", "choose one of celeba, csv, digits"),
        ("experiment=moon", "choose one of"),
        ("tune.stepz=3", "did you mean tune.steps"),
        ("per_samples=3", "did you mean per_sample"),
        ("tune.steps=many", "tune.steps=many"),
        ("tune.steps=-1", "tune.steps=-1: give 0 (untuned) or more"),
        ("mask_rate=1.5", "mask_rate=1.5: give 0"),
        ("mask_fill=pink", "choose one of mean, grey, black"),
        ("steps=0", "steps=0: give 1 or more"),
        ("guidance=0.5", "guidance=0.5: give 1"),
        ("guidance=2 generator=ldm", "set tune.condition_dropout=0.1 too"),
        ("generator.image_size=-64", "generator.image_size=-64: give 8 pixels or more"),
        ("device=tpu", "choose one of auto, cpu, cuda"),
        ("precision=fp8", "choose one of auto, fp32"),
        ("tune.approach=lora", "choose one of anl"),
        ("tune.rank=16", "tune.rank has no effect on tune.approach=anl: leave it out"),
        ("tune.approach=all tune.rank=4", "tune.rank has no effect on tune.approach=all: leave it out"),
        ("tune.approach=anl_lora tune.rank=0", "tune.rank=0: give 1 or more"),
        ("tune.images=test", "tune.images=test: choose one of train, labeled"),
        ("per_sample=0", "per_sample=0: give 1 or more"),
        ("batch_size=-1", "batch_size=-1"),
        ("tune.base_learning_rate=-1", "tune.base_learning_rate=-1.0: give above 0"),
        ("data.root", "data.root"),
    ],
)
def test_every_mistake_is_one_line_that_names_it(word: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        compose("generate", word.split(), Settings)
    assert "\n" not in str(caught.value)


def test_flags_are_second_names_of_settings() -> None:
    words = ["--per-sample", "4", "--out=a b/c", "--dry-run", "data=digits", "--device", "cpu"]
    settings = compose("generate", overrides_of(words, FLAGS, SWITCHES), Settings)
    assert (settings.per_sample, settings.synthetic.root, settings.dry_run) == (4, "a b/c", True)
    assert (settings.data.name, settings.device) == ("digits", "cpu")


@pytest.mark.parametrize("path", ["it's", "a=b,c", "x{y}", "back\\slash", "end\\", "q\\'q", "ümläut 🚗", "-dash"])
def test_any_path_passes_through_the_out_flag(path: str) -> None:
    assert compose("generate", overrides_of([f"--out={path}"], FLAGS, SWITCHES), Settings).synthetic.root == path


@pytest.mark.parametrize(("words", "said"), [(["--persample", "3"], "no such flag"), (["--out"], "needs a value")])
def test_wrong_flags_are_named(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        overrides_of(words, FLAGS, SWITCHES)


def test_the_default_folder_stands_for_what_decides_the_pictures() -> None:
    plain = compose("generate", [], Settings)
    same = compose("generate", ["per_sample=3", "seed=4", "device=cpu", "tune.save_every=7", "batch_size=2"], Settings)
    assert default_folder(plain, "id") == default_folder(same, "id")
    masked = compose("generate", ["condition=borrowed", "mask_rate=0.1"], Settings)
    assert masked.sampling().condition == plain.sampling().condition and default_folder(masked, "id") != default_folder(
        plain, "id"
    )
    for word in ("mask_rate=0", "data.split_seed=1", "tune.steps=7", "steps=25", "generator=noise", "tune.seed=1"):
        assert default_folder(compose("generate", [word], Settings), "id") != default_folder(plain, "id")


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ([], "train"),
        (["tune.images=labeled"], "labeled"),
        (["class_means=labeled"], "labeled"),
        (["mask_rate=0.5"], None),
        (["generator=ldm", "condition=borrowed"], "train"),
    ],
)
def test_class_means_are_of_the_tuning_images_unless_told_otherwise(words: list[str], means: str | None) -> None:
    assert compose("generate", words, Settings).sampling().class_means == means


def test_class_means_decide_the_pictures_where_they_are_borrowed() -> None:
    plain, labeled = (compose("generate", words, Settings) for words in ([], ["class_means=labeled"]))
    assert default_folder(plain, "id") != default_folder(labeled, "id")
    assert "class_means" not in deciding_pictures(compose("generate", ["mask_rate=0.5"], Settings))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["class_means=all"], "choose one of train, labeled"),
        (["class_means=train", "mask_rate=0.5"], "class_means has no effect on condition=image"),
        (["class_means=train", "tune.images=labeled"], "tune.images=labeled leaves out"),
    ],
)
def test_class_means_without_effect_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compose("generate", words, Settings)


def test_where_data_lie_does_not_decide_the_pictures() -> None:
    here, there = (compose("generate", ["data=image_folder", f"data.root={root}"], Settings) for root in ("/a", "/b"))
    assert deciding_pictures(here) == deciding_pictures(there)


def test_each_data_and_generator_file_names_itself() -> None:
    for group in ("data", "generator"):
        for path in (config_folder() / group).glob("*.yaml"):
            settings = compose("generate", [f"{group}={path.stem}"], Settings)
            assert getattr(settings, group).name == path.stem


def test_data_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compose("generate", ["data=image_folder"], Settings).data.root == "data"
    monkeypatch.setenv("SSL_AUG_DATA", "/photos")
    assert compose("generate", ["data=image_folder"], Settings).data.root == "/photos"


def test_what_was_asked_stays_as_it_was_asked() -> None:
    settings = compose("generate", [], Settings)
    assert (settings.condition, settings.mask_rate, settings.guidance, settings.class_means) == (None,) * 4
    masked = dataclasses.replace(settings, mask_rate=0.3)  # what was not said is settled anew
    assert (masked.sampling().condition, settings.sampling().condition) == ("image", "borrowed")


def every_field(schema: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for field in dataclasses.fields(schema):
        yield f"{prefix}{field.name}", field
        if dataclasses.is_dataclass(field.default_factory):
            yield from every_field(field.default_factory, f"{prefix}{field.name}.")


@pytest.mark.parametrize("schema", [Settings, EvaluateSettings, ExportSettings, ImportSettings, BenchmarkSettings])
def test_settings_never_change(schema: type[Any]) -> None:
    for name, field in every_field(schema):
        if dataclasses.is_dataclass(field.default_factory):
            assert field.default_factory.__dataclass_params__.frozen, name
    assert schema.__dataclass_params__.frozen


def test_what_holds_of_drawing_decides_the_pictures_and_what_says_nothing_decides_nothing() -> None:
    asked, said = (compose("generate", words, Settings) for words in ([], ["guidance=2"]))
    assert asked != said and deciding_pictures(asked) == deciding_pictures(said)
    nothing = {"checkpoint", "clip_checkpoint", "root", "accumulation", "gradient_checkpointing", "report_every"}
    kept = deciding_pictures(said)
    assert not nothing & {*kept, *kept["generator"], *kept["tune"], *kept["data"]}
    assert {"seed", "per_sample", "batch_size", "device", "precision", "dry_run", "synthetic"}.isdisjoint(kept)


@pytest.mark.parametrize(
    ("approach", "of_tuning", "of_pictures"),
    [
        ("anl", "763bbf94", "ec05b3d2"),
        ("anl_unconditional", "993cbd01", "95025dd3"),
        ("all", "e00f6966", "5de5c515"),
        ("scratch", "33b7625f", "02b3813a"),
    ],
)
def test_what_has_no_rank_is_named_as_before_there_were_ranks(approach: str, of_tuning: str, of_pictures: str) -> None:
    settings = compose("generate", [f"tune.approach={approach}"], Settings)
    assert short_hash(deciding(settings.tune, TUNING, unless_said=[TUNING])) == of_tuning
    assert short_hash(deciding_pictures(settings)) == of_pictures


def test_the_rank_is_16_where_small_adapters_are_asked_for_without_one() -> None:
    plain, said, other = (
        compose("generate", ["tune.approach=anl_lora", *words], Settings)
        for words in ([], ["tune.rank=16"], ["tune.rank=4"])
    )
    assert (plain.tune.rank, other.tune.rank) == (16, 4)
    assert default_folder(plain, "id") == default_folder(said, "id") != default_folder(other, "id")
    assert deciding_pictures(plain)["tune"]["rank"] == 16


@pytest.mark.parametrize(
    ("words", "guidance"),
    [
        ([], 2.0),
        (["prompt='a red car'"], 2.0),
        (["guidance=1"], 1.0),
        (["guidance=3.5"], 3.5),
        (["condition=none"], 1.0),
        (["condition=borrowed"], 2.0),
        (["tune.approach=anl_lora"], 2.0),
        (["tune.approach=scratch"], 1.0),
        (["tune.approach=anl_unconditional"], 1.0),
        (["generator=noise"], 1.0),
        (["generator=ldm"], 1.0),
        (["experiment=paper"], 1.0),
    ],
)
def test_guidance_is_on_by_default_where_the_embedded_generator_follows_an_image(
    words: list[str], guidance: float
) -> None:
    assert compose("generate", words, Settings).sampling().guidance == guidance


@pytest.mark.parametrize(
    ("words", "condition", "mask_rate"),
    [
        (["mask_rate=0.5"], "image", 0.5),
        (["mask_rate=0"], "image", 0.0),
        (["condition=borrowed", "mask_rate=0.3"], "borrowed", 0.3),
        (["prompt='a red car'"], "image", 0.5),
        (["strength=0.5"], "image", 0.5),
        (["mask_fill=black"], "image", 0.5),
        (["data.labels_per_class=1"], "image", 0.5),
        (["tune.approach=scratch"], "image", 0.5),
        (["tune.approach=anl_unconditional"], "image", 0.5),
        (["generator=ldm"], "image", 0.5),
        (["generator=noise"], "image", 0.5),
    ],
)
def test_only_the_embedded_generator_borrows_by_default_and_where_nothing_else_is_asked_for(
    words: list[str], condition: str, mask_rate: float
) -> None:
    sampling = compose("generate", words, Settings).sampling()
    assert (sampling.condition, sampling.mask_rate) == (condition, mask_rate)


@pytest.mark.parametrize(
    ("words", "condition", "mask_rate"),
    [
        ([], "borrowed", 0.0),
        (["tune.approach=anl_lora"], "borrowed", 0.0),
        (["sweep=mask_rate"], "image", 0.5),
        (["sweep=approach+tune_steps"], "image", 0.5),
        (["sweep=tune_steps", "condition=borrowed"], "borrowed", 0.0),
    ],
)
def test_sweeps_are_the_papers_tables_unless_told_otherwise(words: list[str], condition: str, mask_rate: float) -> None:
    for variant in variants(compose("evaluate", words, EvaluateSettings)):
        sampling = variant.sampling()
        assert sampling.condition == condition
        assert sampling.mask_rate == mask_rate or "sweep=mask_rate" in words
