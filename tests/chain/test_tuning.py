"""The tuning loop: bit-exact resume, the same curve from any number of processes, reports that say something."""

import csv
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning import loop, reports
from tests.conftest import IN_BOTH_PRECISIONS, stop_after, write_image_folder

STEPS = 12


@pytest.fixture
def words(tiny_checkpoint: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A tuning of a second, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    return [
        "data=image_folder", "data.root=photos", "data.labels_per_class=3", "generator=ldm",
        f"generator.checkpoint={tiny_checkpoint}", f"tune.steps={STEPS}", "tune.batch_size=4",
        "tune.base_learning_rate=1e-3", "steps=2", "sampler=dpmpp", "device=cpu",
        f"precision={precision}",
    ]  # fmt: skip


def adapter(root: Path, steps: int = STEPS) -> dict[str, torch.Tensor]:
    return load_file(next(root.glob(f"*/adapter_{steps:06d}.safetensors")))


def losses(root: Path) -> list[float]:
    with next(root.glob("*/losses.csv")).open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@IN_BOTH_PRECISIONS
def test_a_run_stopped_at_any_of_ten_random_steps_ends_in_the_same_bits(words: list[str], tmp_path: Path) -> None:
    words = [*words, "tune.ema_decay=0.9", "tune.condition_dropout=0.3"]
    tune_module.main([*words, "tune.root=plain"])
    expected = adapter(tmp_path / "plain")
    for step in random.Random(0).sample(range(1, STEPS), 10):
        root = f"tune.root=stopped{step}"
        with stop_after(step, loop):
            tune_module.main([*words, root])
        assert not list((tmp_path / f"stopped{step}").glob("*/adapter*"))
        tune_module.main([*words, root])
        found = adapter(tmp_path / f"stopped{step}")
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
        assert losses(tmp_path / f"stopped{step}") == losses(tmp_path / "plain")


@IN_BOTH_PRECISIONS
def test_more_steps_go_on_from_fewer_and_fewer_begin_again(words: list[str], tmp_path: Path) -> None:
    for root, counts in (("plain", (STEPS,)), ("grown", (5, STEPS)), ("shrunk", (STEPS, 5))):
        for count in counts:
            tune_module.main([*words, f"tune.root={root}", f"tune.steps={count}"])
    grown = adapter(tmp_path / "grown")
    assert all(torch.equal(grown[name], tensor) for name, tensor in adapter(tmp_path / "plain").items())
    fewer = adapter(tmp_path / "shrunk", 5)
    assert all(torch.equal(fewer[name], tensor) for name, tensor in adapter(tmp_path / "grown", 5).items())
    assert any(not torch.equal(fewer[name], tensor) for name, tensor in grown.items())


@IN_BOTH_PRECISIONS
def test_two_processes_give_the_curve_of_one_with_accumulation_two(words: list[str], tmp_path: Path) -> None:
    tune_module.main([*words, "tune.root=one", "tune.accumulation=2"])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(tune_module.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "ssl_aug.tune", *words, "tune.root=two"],
        capture_output=True, text=True, env=environment, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = adapter(tmp_path / "one"), adapter(tmp_path / "two")
    assert all(torch.allclose(two[name], tensor, atol=1e-4) for name, tensor in one.items())


def test_a_batch_that_cannot_be_cut_is_named(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"batch_size=4 cannot be cut into 3 equal parts"):
        tune_module.main([*words, "tune.accumulation=3"])


def test_reports_show_grids_fixed_noise_losses_and_copies(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reports, "COPY_WARNING", -1.0)
    tune_module.main([*words, "tune.report_every=6", "tune.root=out"])
    folder = next((tmp_path / "out").glob("*"))
    with (folder / "reports.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [6.0, 12.0]
    assert rows[0]["fixed_noise_loss"] != rows[1]["fixed_noise_loss"]
    with Image.open(folder / "samples_000006.png") as grid:
        assert grid.size == (8 * 16, 2 * 16)
    assert "nearer to a training image" in capsys.readouterr().err


def test_reports_need_no_labels_where_drawing_does(words: list[str], tmp_path: Path) -> None:
    tune_module.main([*words, "data.labels_per_class=2", "condition=borrowed", "tune.report_every=6", "tune.root=out"])
    assert len(list((tmp_path / "out").glob("*/samples_*.png"))) == 2


def test_a_learning_rate_that_explodes_stops_the_run(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"lower tune\.base_learning_rate"):
        tune_module.main([*words, "tune.base_learning_rate=1e30", "tune.gradient_clip=0"])


def test_patch_tokens_tune_and_draw(words: list[str], tmp_path: Path) -> None:
    patches = [*words, "generator.tokens=patches", "tune.root=patches"]
    generate_module.main([*patches, "--per-sample", "1", "--out", "set"])
    assert len(SyntheticSet.open(tmp_path / "set")) == 9
    names = adapter(tmp_path / "patches")
    assert any(".attn2.to_q." in name for name in names)  # with several tokens queries and keys matter


def test_a_damaged_checkpoint_is_named(words: list[str], tmp_path: Path) -> None:
    with stop_after(3, loop):
        tune_module.main([*words, "tune.root=out"])
    checkpoint = next((tmp_path / "out").glob("*/checkpoint.pt"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged: remove it"):
        tune_module.main([*words, "tune.root=out"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tune.gradient_clip=-1", "gradient_clip=-1.0: give 0"),
        ("tune.approach=anl_unconditional prompt=car", "prompt has no effect on tune.approach=anl_unconditional"),
        ("generator.tokens=patches prompt=car", "a prompt is one token"),
        ("condition=none", "condition=none needs a null token"),
        ("tune.accumulation=0", "tune.accumulation=0: give 1 or more"),
        ("tune.ema_decay=1.5", "tune.ema_decay=1.5: give above 0"),
    ],
)
def test_settings_without_effect_or_sense_are_named(words: list[str], word: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tune_module.main([*words, *word.split()])
