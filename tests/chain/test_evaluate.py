"""The evaluation command on a small dataset and the model-free control."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from ssl_aug import evaluate as evaluate_module
from ssl_aug.data.base import Dataset
from ssl_aug.data.build import load_dataset
from ssl_aug.data.settings import DataSettings
from ssl_aug.evaluation import bench, ruler
from ssl_aug.evaluation.judge import NetworkJudge, read_images
from ssl_aug.evaluation.settings import EvaluateSettings, name_of, variants
from ssl_aug.files import read_json
from ssl_aug.interrupts import raised_in_main
from ssl_aug.pretrain.backbone import normalized
from ssl_aug.runtime import placement
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning.settings import TuneSettings
from tests.conftest import contents, interrupt_as_an_error, write_image_folder


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=8, test=4)
    return [
        "data=image_folder", "data.root=photos", "generator=noise", "per_sample=2", "device=cpu", "precision=fp32",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights of a small model of timm's, in 64 dimensions."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), path)
    return str(path)


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timm_weights: str) -> list[str]:
    """Enough photos for 64 dimensions, and features that tell their classes."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", train=30, test=25)
    return [
        "data=image_folder", "data.root=photos", "generator=noise", "generator.image_size=16", "device=cpu",
        "precision=fp32", "features=timm/test_vit", f"features_checkpoint={timm_weights}", "features_image_size=32",
    ]  # fmt: skip


def rows_of(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(Path(folder) / "evaluation.json")["rows"]
    return found


def test_a_set_is_drawn_measured_beside_as_many_real_images_and_written_down(
    many: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_module.main([*many, "per_sample=1", "out=figures"])
    said = capsys.readouterr()
    assert "FD(test_vit) against them all at 16 pixels, in 64 dimensions" in said.out
    assert "the judge (a linear classifier on the features, fitted to 90 labels) is right on " in said.out
    assert "fitting a linear judge to the features of 90 images" in said.err
    with (tmp_path / "figures" / "evaluation.csv").open() as file:
        real, drawn, as_many = list(csv.DictReader(file))
    assert (real["set"], drawn["set"], as_many["set"]) == ("real test images", "synthetic", "synthetic, 75 of them")
    assert (real["num_images"], drawn["num_images"], as_many["num_images"]) == ("75", "90", "75")
    # the control is the reference with a little noise: nearer to the training images than other photos are
    assert 0 < float(as_many["frechet_distance"]) < float(real["frechet_distance"])
    low, share, high = (float(drawn[f"class_share{end}"]) for end in ("_low", "", "_high"))
    assert 0.5 < low < share <= high
    assert "real test images" in (tmp_path / "figures" / "evaluation.txt").read_text()
    assert "ssl_aug.evaluate data=image_folder generator=noise" in (tmp_path / "figures" / "command.txt").read_text()
    settings = read_json(tmp_path / "figures" / "evaluation.json")["settings"]
    assert (settings["per_sample"], settings["features"]) == (1, "timm/test_vit")


def test_few_images_have_no_distance_and_it_is_said_how_many_it_takes(
    many: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_module.main([*many, "num_images=60", "out=figures"])
    real, drawn = rows_of("figures")
    for row in (real, drawn):
        assert row["num_images"] == 60 and "frechet_distance" not in row and "precision" not in row
        assert row["why"]["frechet_distance"] == row["why"]["recall"] == "too few: 60"
        assert row["kernel_distance_error"] > 0  # unbiased for few images, and its error says how much they tell
    assert "in 64 dimensions a Frechet distance, precision and recall need 65 images or more" in capsys.readouterr().out


def test_features_that_do_not_know_the_data_give_no_figure_but_a_reason(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_module.main([*words, "out=figures"])
    said = capsys.readouterr()
    for row in rows_of("figures"):
        assert row["why"]["frechet_distance"] == row["why"]["precision"] == "not measurable here"
        assert row["why"]["class_share"] == row["why"]["near_copy_rate"] == "not measurable here"
        assert not {"frechet_distance", "class_share", "near_copy_rate"} & {key for key in row if row[key] is not None}
    assert "features=backbone come with the package and know rendered cars alone" in said.out
    assert "no judge is trained" in said.out and "training the judge" not in said.err
    with Path("figures/near_copies.csv").open() as file:
        nearest = [pair for pair in csv.DictReader(file) if pair["set"] == "synthetic"]
    assert float(nearest[0]["cosine"]) > 0.9  # of the control: the reference itself
    assert all(Path(pair["image"]).is_file() and Path(pair["nearest"]).is_file() for pair in nearest)


def nearest_mean(dataset: Dataset, *_: object) -> NetworkJudge:
    """A judge of all labels that takes no training."""
    flat = normalized(torch.from_numpy(read_images(dataset.train.paths))).flatten(1)
    labels = torch.tensor(dataset.train.labels)
    network = torch.nn.Linear(flat.shape[1], len(dataset.train.class_names))
    means = torch.stack([flat[labels == label].mean(dim=0) for label in range(len(dataset.train.class_names))])
    network.weight.data, network.bias.data = means, -(means**2).sum(dim=1) / 2
    return NetworkJudge(torch.nn.Sequential(torch.nn.Flatten(), network), len(means), placement("cpu", "fp32"))


def test_a_network_trained_on_all_labels_judges_what_the_features_do_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ruler, "trained_judge", nearest_mean)
    evaluate_module.main(
        ["data=digits", "generator=noise", "per_sample=2", "device=cpu", "precision=fp32", "out=figures"]
    )
    assert "the judge (a network trained on all labels) is right on " in capsys.readouterr().out
    for row in rows_of("figures"):  # the control is a labeled image with a little noise
        assert row["class_share"] > 0.7 and "class_share" not in row["why"]
        assert row["why"]["kernel_distance"] == "not measurable here" and row["kernel_distance"] is None


def test_features_that_tell_classes_no_better_than_chance_are_not_measured_in(
    many: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for path in sorted((tmp_path / "photos").rglob("*.png")):  # pictures that show nothing of their class
        pixels = rng.integers(0, 255, (16, 16, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    evaluate_module.main([*many, "per_sample=1", "out=figures"])
    assert "these features do not know these images: the judge is right on " in capsys.readouterr().out
    assert {row["why"]["frechet_distance"] for row in rows_of("figures")} == {"not measurable here"}


def test_what_was_measured_is_printed_and_not_measured_again(
    many: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*many, "per_sample=1"]
    evaluate_module.main(asked)
    first = capsys.readouterr().out
    monkeypatch.setattr(bench, "Ruler", lambda *_: pytest.fail("it was measured"))
    before = contents(tmp_path / "outputs" / "evaluation")
    evaluate_module.main(asked)
    assert capsys.readouterr().out.splitlines()[-8:] == first.splitlines()[-8:]
    assert contents(tmp_path / "outputs" / "evaluation") == before
    (folder,) = (tmp_path / "outputs" / "synthetic").iterdir()
    next((folder / "images").rglob("*.png")).unlink()
    with pytest.raises(FileExistsError, match="when it had other images: name another folder with out="):
        evaluate_module.main(asked)
    assert contents(tmp_path / "outputs" / "evaluation") == before


def test_an_evaluation_goes_on_behind_the_last_set_that_it_measured(
    many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*many, "num_images=30", "sweep=mask_rate", "mask_rates=[0.0,0.5]", "out=figures"]
    measure, seen = bench.Ruler.measure, list[int]()

    def stops(self: bench.Ruler, images: Any, known: Any) -> Any:
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(len(images.paths))
        return measure(self, images, known)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bench.Ruler, "measure", stops)
        evaluate_module.main(asked)
    names = list[str]()
    keep = bench.Rows.keep

    def kept(self: bench.Rows, key: Any, measured: Any) -> None:
        names.append(measured.row["set"])
        keep(self, key, measured)

    monkeypatch.setattr(bench.Rows, "keep", kept)
    evaluate_module.main(asked)
    assert names == ["mask 0.5", "real test images"]
    assert [row["set"] for row in rows_of("figures")] == ["real test images", "mask 0", "mask 0.5"]


@pytest.mark.parametrize(("of", "num_images", "images"), [("test", 20, 20), ("train", 20, 20), ("test", 100, 100)])
def test_drawings_may_be_conditioned_on_images_that_were_seen_or_not(
    of: str, num_images: int, images: int, many: list[str], tmp_path: Path
) -> None:
    evaluate_module.main([*many, f"conditions={of}", f"num_images={num_images}", "data.labels_per_class=2", "out=o"])
    (folder,) = (tmp_path / "outputs" / "synthetic").iterdir()
    sources = {row["source"] for row in SyntheticSet.open(folder).rows}
    known = {example.key for example in load_dataset(DataSettings("image_folder", "photos")).test.examples}
    assert (sources <= known) == (of == "test") or of == "train"
    row = next(row for row in rows_of("o") if row["set"] == "synthetic")
    assert row["num_images"] == images and (row["diversity"] is not None) == (images == 100)


def test_a_figure_of_the_paper_is_drawn_measured_and_gone_on_with(
    many: list[str], tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in many if not word.startswith("generator")]
    asked = [*words, "generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "figure=1", "approaches=[anl]",
             "tune_steps=[1,2]", "tune.batch_size=4", "steps=1", "num_images=66", "out=figures"]  # fmt: skip
    evaluate_module.main(asked)
    said = capsys.readouterr()
    assert "1 steps" in said.out and 'paper: figure 1 of the paper "Transferring' in said.out
    assert {path.name for path in Path("figures").glob("*.png")} == {"figure1.png", "figure1_drawings.png"}
    real, *drawn = rows_of("figures")
    assert [row["num_images"] for row in (real, *drawn)] == [66, 66, 66]
    assert all(row["frechet_distance"] > 0 for row in drawn)
    shutil.rmtree(tmp_path / "outputs" / "synthetic")  # what they showed was measured
    before = contents(Path("figures"))
    evaluate_module.main(asked)
    assert contents(Path("figures")) == before and not (tmp_path / "outputs" / "synthetic").exists()


def test_a_distance_is_to_all_training_images_and_copies_are_of_the_tuned_ones(
    many: list[str], tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in many if not word.startswith("generator")]
    evaluate_module.main(
        [*words, "generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "data.subset=5", "tune.steps=1",
         "tune.batch_size=4", "steps=1", "num_images=24", "out=figures"]
    )  # fmt: skip
    assert "90 training images; FD(test_vit) against them all" in capsys.readouterr().out
    with Path("figures/near_copies.csv").open() as file:
        pairs = list(csv.DictReader(file))
    assert 1 <= len({pair["nearest"] for pair in pairs}) <= 5
    assert [row["near_copy_rate"] is not None for row in rows_of("figures")] == [True, True]


def test_a_sweep_is_every_combination_of_its_values() -> None:
    settings = EvaluateSettings(sweep="approach+tune_steps", approaches=["anl", "all"], tune_steps=[5, 7])
    found = list(variants(settings))
    assert [(one.tune.approach, one.tune.steps) for one in found] == [("anl", 5), ("anl", 7), ("all", 5), ("all", 7)]
    assert name_of(found[-1], settings.swept) == "all, 7 steps"
    small = EvaluateSettings(
        tune=TuneSettings("anl_lora", rank=4), sweep="approach", approaches=["anl", "anl_lora", "scratch"]
    )
    assert [one.tune.rank for one in variants(small)] == [None, 4, None]
    assert [one.tune.rank for one in variants(replace(small, tune=TuneSettings()))] == [None, 16, None]
    (alone,) = variants(EvaluateSettings())
    assert name_of(alone, ()) == "synthetic"
    assert [one.mask_rate for one in variants(EvaluateSettings(sweep="mask_rate"))] == [0.0, 0.3, 0.5, 0.7]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sweep=seeds", "choose of mask_rate, approach, tune_steps"),
        ("features=pixels", "choose one of backbone, clip, inception, timm/NAME"),
        ("features=timm/resnet_of_mine", "timm has no such model"),
        ("features=inception features_checkpoint=x", "features_checkpoint=x has no effect on features=inception"),
        ("inception_unverified=true", "inception_unverified=true has no effect on features=backbone"),
        ("data=digits judge_steps=0", "judge_steps=0: give 1 or more"),
        ("judge_steps=2", "judge_steps=2 has no effect on data=image_folder"),
        ("table=2", "table=2: choose one of 1, 3"),
        ("table=1 sweep=mask_rate", "give one of them"),
        (
            "mask_rates=[0.1]",
            r"mask_rates=\[0.1\] has no effect here: leave it out, or give sweep=mask_rate or table=3",
        ),
        ("sweep=mask_rate approaches=[anl]", "give sweep=approach, table=1 or a figure"),
        ("figure=4 generator=embedded tune.steps=7", r"tune.steps=7 has no effect on figure 4: .* give tune_steps=\["),
        ("table=3 generator=embedded mask_rate=0.5", "mask_rate=0.5 has no effect on table 3"),
        ("table=1 tune_steps=[1]", "generator=noise is not tuned"),
        ("table=1 generator=embedded features=backbone", "table 1: not measurable here"),
        ("conditions=train generator=embedded tune.images=labeled", "give tune.images=train, or conditions=labeled"),
        ("mask_rates=[1.5] sweep=mask_rate", r"mask_rates=\[1.5\]: give 0"),
        ("sweep=mask_rate synthetic.root=x", "leave synthetic.root out"),
    ],
)
def test_settings_that_do_not_fit_are_named(words: list[str], word: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate_module.main([*words, *word.split()])


def test_an_interrupt_that_a_library_makes_an_error_of_is_no_note_below_the_table(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bench, "clip_of", interrupt_as_an_error)
        with pytest.raises(KeyboardInterrupt), raised_in_main("interrupted"):
            evaluate_module.main([*words, "out=figures"])
    assert not list((tmp_path / "figures").rglob("*.json"))
    evaluate_module.main([*words, "out=figures"])
    assert "UntypedStorage" not in (tmp_path / "figures" / "evaluation.txt").read_text()
