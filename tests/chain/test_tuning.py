"""The tuning loop: bit-exact resume, the same curve from any number of processes, reports that say something."""

import csv
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file
from torch import distributed, multiprocessing

from generators import build, model_folder
from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from generators.ldm import LatentDiffusion
from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module
from ssl_aug.command_line import compose
from ssl_aug.data.build import load_split
from ssl_aug.files import read_json
from ssl_aug.pretrain import diffusion as pretrain_diffusion
from ssl_aug.runtime import accelerator_of, placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning import loop, reports
from ssl_aug.tuning.adapter import encodings_of, read_adapter
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.plan import plan_tuning
from tests.conftest import IN_BOTH_PRECISIONS, contents, stop_after, write_image_folder

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


def test_a_run_stopped_in_the_middle_of_a_step_or_a_report_ends_in_the_same_bits(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a large model takes minutes on a CPU: it is not waited for."""
    words = [*words, "tune.ema_decay=0.9", "tune.accumulation=2", "tune.report_every=4"]
    tune_module.main([*words, "tune.root=plain"])
    calls, predict = list[int](), LatentDiffusion.predict
    for call, done in ((1, 0), (2, 0), (6, 2), (9, 4), (12, 4)):  # two a step; from the ninth on the report's
        root = f"tune.root=stopped{call}"
        calls.clear()

        def interrupted(*arguments: Any, at: int = call, **options: Any) -> torch.Tensor:
            calls.append(1)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return predict(*arguments, **options)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(LatentDiffusion, "predict", interrupted)
            tune_module.main([*words, root])
        saved = [loop.steps_done(path) for path in (tmp_path / f"stopped{call}").glob("*/checkpoint.pt")]
        assert saved == ([done] if done else []) and len(calls) == call
        tune_module.main([*words, root])
        plain, found = (contents(next((tmp_path / name).iterdir())) for name in ("plain", f"stopped{call}"))
        assert found.keys() == plain.keys()
        compared = [name for name in plain if name.endswith((".safetensors", ".csv", ".png"))]
        assert len(compared) == 6 and all(found[name] == plain[name] for name in compared)


def test_more_steps_go_on_from_fewer_and_fewer_begin_again(words: list[str], tmp_path: Path) -> None:
    for root, counts in (("plain", (STEPS,)), ("grown", (5, STEPS)), ("shrunk", (STEPS, 5))):
        for count in counts:
            tune_module.main([*words, f"tune.root={root}", f"tune.steps={count}"])
    grown = adapter(tmp_path / "grown")
    assert all(torch.equal(grown[name], tensor) for name, tensor in adapter(tmp_path / "plain").items())
    fewer = adapter(tmp_path / "shrunk", 5)
    assert all(torch.equal(fewer[name], tensor) for name, tensor in adapter(tmp_path / "grown", 5).items())
    assert any(not torch.equal(fewer[name], tensor) for name, tensor in grown.items())


def tune_as_one_of_two(rank: int, words: list[str], store: Path) -> None:
    """What torchrun's process of this rank does, in a fork of this one, which has imported all."""
    os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"})
    os.environ["MASTER_ADDR"] = "127.0.0.1"  # says that torchrun started it; they meet at a file, not at a port
    AcceleratorState._reset_state(reset_partial_state=True)  # a new process has none
    distributed.init_process_group("gloo", init_method=store.as_uri(), rank=rank, world_size=2)
    tune_module.main(words)
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # those of the test runner
def test_two_processes_give_the_curve_of_one_with_accumulation_two(words: list[str], tmp_path: Path) -> None:
    tune_module.main([*words, "tune.root=one", "tune.accumulation=2"])
    arguments = ([*words, "tune.root=two"], tmp_path / "meeting point")
    multiprocessing.start_processes(tune_as_one_of_two, arguments, nprocs=2, start_method="fork")
    assert_same_tuning(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_torchrun_gives_the_curve_of_one_process_with_accumulation_two(words: list[str], tmp_path: Path) -> None:
    tune_module.main([*words, "tune.root=one", "tune.accumulation=2"])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(tune_module.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "ssl_aug.tune", *words, "tune.root=two"],
        capture_output=True, text=True, env=environment, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert_same_tuning(tmp_path / "two", tmp_path / "one")


def assert_same_tuning(found: Path, expected: Path) -> None:
    """Within rounding."""
    assert losses(found) == pytest.approx(losses(expected), rel=1e-4)
    weights = adapter(found)
    assert all(torch.allclose(weights[name], tensor, atol=1e-4) for name, tensor in adapter(expected).items())


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


def test_small_adapters_tune_and_draw(words: list[str], tmp_path: Path, tiny_checkpoint: Path) -> None:
    small = [*words, "tune.approach=anl_lora", "tune.rank=2"]
    tune_module.main([*small, "tune.root=small"])
    path = next((tmp_path / "small").glob(f"*-anl_lora-*/adapter_{STEPS:06d}.safetensors"))
    matrices, facts = load_file(path), read_json(path.with_suffix(".json"))
    assert all(re.fullmatch(r"unet\..*\.attentions\..*\.lora_[AB]\.weight", name) for name in matrices)
    assert all(matrix.any() for matrix in matrices.values())
    assert not any(".attn2.to_q." in name or ".attn2.to_k." in name for name in matrices)
    assert all(matrix.shape[".lora_B." in name] == 2 for name, matrix in matrices.items())
    assert facts["num_tuned_parameters"] == sum(matrix.numel() for matrix in matrices.values())
    assert facts["num_unet_parameters"] == sum(
        tensor.numel() for tensor in load_file(tiny_checkpoint / "unet.safetensors").values()
    )
    assert facts["tune"]["rank"] == 2
    drawn = []
    for root, more in (("small", small), ("barely", [*small, "tune.base_learning_rate=1e-12"])):
        generate_module.main([*more, f"tune.root={root}", "--per-sample", "1", "--out", f"{root} set"])
        drawn.append(read_batch(sorted((tmp_path / f"{root} set").rglob("images/*/*.png")), 16))
    assert len(drawn[0]) == 9 and (drawn[0] - drawn[1]).abs().max() > 4 / 127.5  # of 255 levels: no rounding


@pytest.mark.parametrize("ema", ["null", "0.9"])
@IN_BOTH_PRECISIONS
def test_small_adapters_stopped_on_the_way_end_in_the_same_bytes(words: list[str], tmp_path: Path, ema: str) -> None:
    small = [*words, "tune.approach=anl_lora", "tune.condition_dropout=0.3", f"tune.ema_decay={ema}"]
    written = []
    for stops in ((), (1, 6)):
        root = f"tune.root=after {len(stops)} stops"
        for steps in stops:
            with stop_after(steps, loop):
                tune_module.main([*small, root])
        tune_module.main([*small, root])
        written.append(next((tmp_path / root.partition("=")[2]).glob("*/adapter_*.safetensors")).read_bytes())
    assert written[0] == written[1]


def test_small_adapters_read_all_patch_tokens(words: list[str], tmp_path: Path) -> None:
    tune_module.main([*words, "tune.approach=anl_lora", "generator.tokens=patches", "tune.root=out"])
    matrices = adapter(tmp_path / "out")
    assert all(matrix.any() for name, matrix in matrices.items() if ".attn2.to_q." in name or ".attn2.to_k." in name)
    assert sum(".attn2.to_q." in name for name in matrices) == 2 * 4


def test_small_adapters_report_what_is_saved(words: list[str], tmp_path: Path) -> None:
    small = [*words, "tune.approach=anl_lora", "tune.root=out", "tune.ema_decay=0.9", f"tune.report_every={STEPS}"]
    tune_module.main(small)
    path = next((tmp_path / "out").glob("*/adapter_*.safetensors"))
    with (path.parent / "reports.csv").open() as file:
        (row,) = csv.DictReader(file)
    settings = compose("tune", small, Settings)
    generator = settings.generator
    merged = build_generator(generator, settings.sampling(), read_adapter(path))
    assert isinstance(merged, ANLLatentDiffusion)
    plan = plan_tuning(settings, *load_split(settings.data))
    place = placement("cpu", "fp32")
    encodings = encodings_of(plan, merged.model, 16, settings.tune.flip, place)
    with torch.no_grad():
        found = reports.fixed_noise_loss(merged.model, encodings, accelerator_of(place))
    assert found == pytest.approx(float(row["fixed_noise_loss"]), rel=1e-5)


def test_small_adapters_of_another_model_are_refused(words: list[str], tmp_path: Path, tiny_checkpoint: Path) -> None:
    small = [*words, "tune.approach=anl_lora", "tune.root=out"]
    tune_module.main(small)
    other = model_folder.load(tiny_checkpoint)
    other.unet = pretrain_diffusion.make_unet()
    settings = compose("tune", small, Settings)
    path = next((tmp_path / "out").glob("*/adapter_*.safetensors"))
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(ValueError, match=r"another model: \d+ weights do not fit"),
    ):
        patch.setattr(build, "open_checkpoint", lambda *_: other)
        build_generator(settings.generator, settings.sampling(), read_adapter(path))


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
        ("tune.rank=4", "tune.rank has no effect on tune.approach=anl: leave it out"),
        ("tune.approach=anl_lora tune.rank=0", "tune.rank=0: give 1 or more"),
    ],
)
def test_settings_without_effect_or_sense_are_named(words: list[str], word: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tune_module.main([*words, *word.split()])


def test_a_tuning_that_leaves_the_numbers_stops_and_saves_nothing(words: list[str], tmp_path: Path) -> None:
    said = r"the loss is (nan|inf) at step \d: lower tune.base_learning_rate, or use precision=fp32"
    with pytest.raises(ValueError, match=said):
        tune_module.main([*words, "tune.base_learning_rate=1e30", "tune.root=lost"])
    assert not [path for path in (tmp_path / "lost").rglob("*") if path.suffix in (".pt", ".safetensors")]
