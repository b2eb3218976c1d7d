"""The generate command from end to end, on a tiny model with random weights and a folder of little pictures."""

import copy
import errno
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generators import model_folder
from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from generators.settings import GeneratorSettings, SamplingSettings
from ssl_aug import evaluate as evaluate_module
from ssl_aug import generate as command_module
from ssl_aug import tune as tune_module
from ssl_aug.command_line import compose
from ssl_aug.data.build import load_and_tell
from ssl_aug.drawing import generator
from ssl_aug.drawing.draw import draw_set
from ssl_aug.endings import error_line
from ssl_aug.settings import PICTURES, TUNING, Settings, SyntheticSettings, deciding
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning import adapter, plan
from ssl_aug.tuning.adapter import read_adapter
from ssl_aug.tuning.settings import TuneSettings
from tests.chain.walks import refused
from tests.conftest import IN_BOTH_PRECISIONS, contents, stop_drawing_after, write_image_folder


@pytest.fixture
def words(
    tiny_checkpoint: Path,
    tmp_path: Path,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> list[str]:
    """A command line that takes a second, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    return [
        "data=image_folder",
        "data.root=photos",
        "data.labels_per_class=3",
        "generator=ldm",
        f"generator.checkpoint={tiny_checkpoint}",
        "tune.steps=3",
        "tune.batch_size=4",
        "steps=4",
        "batch_size=4",
        "device=cpu",
        f"precision={precision}",
        f"condition={getattr(request, 'param', 'image')}",
    ]


@IN_BOTH_PRECISIONS
def test_the_set_is_complete_and_usable(words: list[str], tmp_path: Path) -> None:
    command_module.main([*words, "--per-sample", "2", "--out", "set"])
    synthetic = SyntheticSet.open(tmp_path / "set")
    assert len(synthetic) == 3 * 3 * 2
    for example, row in zip(synthetic.examples, synthetic.rows, strict=True):
        with Image.open(example.path) as image:
            assert (image.size, image.mode) == ((16, 16), "RGB")
        left, top, right, bottom = map(int, row["mask_box"].split())
        assert (right - left, bottom - top) == (8, 8)
        assert row["source"].split("/")[0] == row["class_name"]
        assert -1 <= float(row["source_score"]) <= 1 and 0 <= float(row["class_score"]) <= 1


def test_borrowing_draws_others_and_is_no_different_at_the_second_time(words: list[str], tmp_path: Path) -> None:
    sets = {"plain": [], "one": ["condition=borrowed"], "again": ["condition=borrowed"]}
    for name, more in sets.items():
        command_module.main([*words, "mask_rate=0", "--per-sample", "2", "--out", name, *more])
    plain, one, again = (contents(tmp_path / name / "images") for name in sets)
    assert one == again
    lenders = {row["path"].removeprefix("images/"): row["lender"] for row in SyntheticSet.open(tmp_path / "one").rows}
    assert set(one) == set(lenders)
    by_lender = {name: one[name] == plain[name] for name in one}
    own = {row["path"].removeprefix("images/"): row["source"] for row in SyntheticSet.open(tmp_path / "one").rows}
    assert {name for name, same in by_lender.items() if same} <= {name for name in one if lenders[name] == own[name]}


def test_class_means_of_the_labeled_images_alone_draw_others(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for means in ("train", "labeled"):
        more = ["condition=borrowed", "mask_rate=0", f"class_means={means}", "--per-sample", "1", "--out", means]
        command_module.main([*words, *more])
    train, labeled = (contents(tmp_path / means / "images") for means in ("train", "labeled"))
    assert train.keys() == labeled.keys()
    assert sum(train[name] == labeled[name] for name in train) < len(train) / 2
    assert "warning" not in capsys.readouterr().err


def test_a_clip_that_does_not_tell_the_classes_is_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dog", "eel"):  # the same pictures in each class
        shutil.copytree(tmp_path / "photos/train/cat", tmp_path / "photos/train" / name, dirs_exist_ok=True)
    command_module.main([*words, "condition=borrowed", "mask_rate=0", "data.labels_per_class=5", "--per-sample", "1"])
    assert "warning: CLIP tells the class of 0% of the labeled images (by chance: 33%)" in capsys.readouterr().err


def test_what_clip_tells_is_said_before_the_tuning_and_in_a_dry_run(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter, "tune_unet", stops)
    told = re.compile(r"CLIP tells the class of \d+% of the labeled images \(by chance: 33%\)")
    command_module.main([*words, "--dry-run"])
    assert told.search(capsys.readouterr().out)
    with pytest.raises(KeyboardInterrupt):
        command_module.main(words)
    assert told.search(capsys.readouterr().err)


def test_a_class_with_one_label_has_nothing_to_be_compared_with(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command_module.main([*words, "data.labels_per_class=1", "--dry-run"])
    assert "CLIP" not in capsys.readouterr().out


def test_photos_are_not_given_to_the_weights_of_rendered_cars_unasked(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [word for word in words if not word.startswith("generator")]
    for main in (command_module.main, tune_module.main, evaluate_module.main):
        with pytest.raises(ValueError, match=r"^data=image_folder wants a generator=: ldm with .*experiment=sd15"):
            main(plain)
    assert not (tmp_path / "outputs").exists()
    command_module.main([*plain, "generator=embedded", "--dry-run"])
    assert "warning: generator=embedded knows rendered cars alone" in capsys.readouterr().err


EITHER = pytest.mark.parametrize("words", ["image", "borrowed"], indirect=True)


@EITHER
def test_more_per_sample_keep_the_first_images_byte_for_byte(words: list[str], tmp_path: Path) -> None:
    command_module.main([*words, "--per-sample", "2", "--out", "grown"])
    before = contents(tmp_path / "grown" / "images")
    command_module.main([*words, "--per-sample", "3", "--out", "grown"])
    command_module.main([*words, "--per-sample", "3", "--out", "plain"])
    assert before.items() <= contents(tmp_path / "grown" / "images").items()
    assert contents(tmp_path / "grown") == contents(tmp_path / "plain")


@EITHER
@pytest.mark.parametrize("chunks_before", [0, 2])
def test_an_interrupted_run_goes_on_to_the_same_folder(words: list[str], tmp_path: Path, chunks_before: int) -> None:
    with stop_drawing_after(chunks_before):
        command_module.main([*words, "--per-sample", "2", "--out", "stopped"])
    command_module.main([*words, "--per-sample", "2", "--out", "stopped"])
    command_module.main([*words, "--per-sample", "2", "--out", "plain"])
    assert contents(tmp_path / "stopped") == contents(tmp_path / "plain")


@IN_BOTH_PRECISIONS
@EITHER
def test_batch_sizes_agree_within_rounding_and_in_order(words: list[str], tmp_path: Path, precision: str) -> None:
    sets = []
    for size in (1, 7, 32):
        command_module.main([*words, f"batch_size={size}", "--per-sample", "2", "--out", f"set{size}"])
        sets.append(SyntheticSet.open(tmp_path / f"set{size}"))
    orders = {tuple((row["path"], row["seed"], row["mask_box"]) for row in one.rows) for one in sets}
    assert len(orders) == 1
    pixels = [np.stack([np.asarray(Image.open(e.path), dtype=int) for e in one.examples]) for one in sets]
    # of 256 grey levels; bfloat16 keeps 8 bits of a number, and rounds at every layer of every step
    most = {"fp32": 1, "bf16": 2}[precision]
    assert max(np.abs(pixels[0] - other).max() for other in pixels[1:]) <= most


def test_a_task_of_a_slurm_array_draws_the_whole_set_unless_it_is_told_to_share_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*(word for word in words if not word.startswith(("generator.", "tune."))), "generator=noise"]
    words += ["generator.image_size=16", "per_sample=2", "batch_size=2"]
    for name, value in {"ID": "0", "COUNT": "2"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    command_module.main([*words, "--out", "whole"])
    assert "this task of a Slurm array draws the whole set; shard=slurm shares it" in capsys.readouterr().err
    for task in ("0", "1"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        command_module.main([*words, "--out", "shared", "shard=slurm"])
        assert "draws the whole set" not in capsys.readouterr().err
        assert (tmp_path / "shared/manifest.csv").is_file() == (task == "1")
    assert contents(tmp_path / "shared") == contents(tmp_path / "whole")


@IN_BOTH_PRECISIONS
@EITHER
def test_two_shards_make_the_set_of_one_process(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an array's tasks the first tunes; the other, had it been there, would have waited for the weights."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"run python -m ssl_aug\.tune"):  # nobody started them together
        command_module.main([*words, "--per-sample", "2", "--out", "sharded"])
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    for task in ("0", "1"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        command_module.main([*words, "--per-sample", "2", "--out", "sharded", "shard=slurm"])
    monkeypatch.delenv("SLURM_ARRAY_TASK_COUNT")
    command_module.main([*words, "--per-sample", "2", "--out", "plain"])
    assert contents(tmp_path / "sharded") == contents(tmp_path / "plain")


@pytest.mark.parametrize("name", ["ldm", "embedded"])
def test_one_settings_object_draws_twice_and_stays_as_it_was(words: list[str], tmp_path: Path, name: str) -> None:
    if name == "embedded":  # its checkpoint is not named: a call that wrote it down would be refused the next time
        words = [
            *(word for word in words if not word.startswith("generator")),
            "generator=embedded",
            "tune.steps=1",
            "steps=1",
        ]
    asked = compose("generate", [*words, "per_sample=1"], Settings)
    before = copy.deepcopy(asked)
    for folder in ("one", "two"):
        settings = replace(asked, synthetic=SyntheticSettings(str(tmp_path / folder)))
        draw_set(settings, *load_and_tell(settings.data))
    assert asked == before
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_dry_run_says_how_much_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path)
    command_module.main([*words, "--dry-run"])
    said = capsys.readouterr().out
    assert (
        "would draw 90 images (10 for each of 9 labeled ones) into outputs/synthetic/image_folder-3-split0-ldm" in said
    )
    assert "disk: about" in said
    assert "time to draw on cpu: about" in said
    assert re.search(r"tuning on 15 images: about [\d.]+( to [\d.]+)? s", said)
    assert contents(tmp_path) == before


def test_a_dry_run_foretells_what_is_left(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*words, "--per-sample", "2", "--out", "set"]
    with stop_drawing_after(2):
        command_module.main(words)
    before = contents(tmp_path)

    def foretold(*more: str) -> str:
        capsys.readouterr()
        command_module.main([*words, "--dry-run", *more])
        return capsys.readouterr().out

    assert "would go on: 13 of 18 images (2 for each of 9 labeled ones) are left to draw in set\n" in foretold()
    assert contents(tmp_path) == before
    command_module.main(words)
    next((tmp_path / "set" / "images").rglob("*.png")).unlink()
    before = contents(tmp_path)
    out = "1 of 18 drawings are left out (1 deleted)"
    assert foretold() == f"set is finished already: 17 images are there, nothing would be drawn; {out}\n"
    assert "would go on: 1 of 18 images" in foretold("synthetic.refill=true")
    assert "would go on: 9 of 27 images" in foretold("per_sample=3")
    assert "seed=0, asked for is seed=1" in refused(
        command_module.main, [*words, "--dry-run", "seed=1"], Path(), monkeypatch, capsys
    )
    assert contents(tmp_path) == before


def test_the_generator_is_tuned_once(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command_module.main([*words, "--per-sample", "1", "--out", "one"])
    (adapter,) = (tmp_path / "outputs" / "adapters").glob("*/adapter_000003.safetensors")
    before = adapter.stat().st_mtime_ns
    command_module.main([*words, "--per-sample", "1", "--out", "two", "seed=5"])
    assert adapter.stat().st_mtime_ns == before


def test_tuning_never_sees_the_test_images(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def remember(settings, plan, place):
        seen.extend(plan.images)
        raise KeyboardInterrupt

    monkeypatch.setattr(generator, "tune", remember)
    with pytest.raises(KeyboardInterrupt):
        command_module.main([*words, "--per-sample", "1"])
    assert len(seen) == 15
    assert all("train" in path.parts for path in seen)


@IN_BOTH_PRECISIONS
def test_tune_changes_only_the_spatial_transformers(words: list[str], tmp_path: Path, tiny_checkpoint: Path) -> None:
    from safetensors.torch import load_file

    tune_module.main(words)
    (path,) = (tmp_path / "outputs" / "adapters").glob("*/adapter_000003.safetensors")
    adapter, base = load_file(path), load_file(tiny_checkpoint / "unet.safetensors")
    assert all(".attentions." in name for name in adapter)
    # the last projections move at once; what lies behind them gets its first gradient with them
    assert any(not np.array_equal(adapter[name].numpy(), base[name].numpy()) for name in adapter)


TUNE_CHANGES = [
    "tune.approach=all",
    "tune.approach=anl_lora",
    "tune.approach=anl_unconditional",
    "tune.ema_decay=0.9",
    "tune.images=labeled",
    "tune.steps=4",
    "tune.batch_size=3",
    "tune.base_learning_rate=1e-4",
    "tune.weight_decay=0.5",
    "tune.flip=false",
    "tune.condition_dropout=0.9",
    "tune.gradient_clip=0.001",
    "tune.seed=1",
    "data.subset=6",
]


@pytest.mark.parametrize("change", TUNE_CHANGES)
def test_every_tuning_setting_changes_the_trajectory(words: list[str], tmp_path: Path, change: str) -> None:
    plain = [*words, "tune.base_learning_rate=1e-3", "tune.root=plain"]
    tune_module.main(plain)
    tune_module.main([*plain[:-1], "tune.root=changed", change])
    results = []
    for root in ("plain", "changed"):
        folder = next((tmp_path / root).glob("*"))
        results.append((folder / "losses.csv").read_bytes() + next(folder.glob("adapter_*.safetensors")).read_bytes())
    assert results[0] != results[1]


def test_all_tuning_settings_are_covered() -> None:
    deciding_result = deciding(TuneSettings(), TUNING, PICTURES, unless_said=[TUNING])
    changed = {change.split("=")[0].split(".")[1] for change in TUNE_CHANGES if change.startswith("tune.")}
    assert changed == deciding_result.keys()
    of_small_adapters = deciding(TuneSettings(approach="anl_lora"), TUNING, PICTURES, unless_said=[TUNING])
    assert of_small_adapters.keys() - changed == {"rank"}


def test_the_rank_changes_the_trajectory(words: list[str], tmp_path: Path) -> None:
    small = [*words, "tune.base_learning_rate=1e-3", "tune.approach=anl_lora", "tune.root=out"]
    for rank in ("1", "2", "16", "null"):
        tune_module.main([*small, f"tune.rank={rank}"])
    folders = sorted((tmp_path / "out").glob("*-anl_lora-*"))
    assert len(folders) == 3  # 16 and null are one tuning
    assert len({(folder / "losses.csv").read_bytes() for folder in folders}) == 3


@pytest.mark.parametrize("approach", ["anl", "anl_lora"])
@pytest.mark.parametrize("change", ["tune.accumulation=2", "tune.gradient_checkpointing=true", "tune.report_every=2"])
def test_what_only_costs_memory_or_time_does_not_move_the_result(
    words: list[str], tmp_path: Path, tiny_checkpoint: Path, change: str, precision: str, approach: str
) -> None:
    words = [*words, "tune.base_learning_rate=1e-3", f"tune.approach={approach}"]
    weights = [model_folder.load(tiny_checkpoint).unet.state_dict()]
    for root, more in (("plain", []), ("changed", [change])):
        tune_module.main([*words, f"tune.root={root}", *more])
        tuned = read_adapter(next((tmp_path / root).glob("*/adapter_*.safetensors")))
        built = build_generator(GeneratorSettings("ldm", str(tiny_checkpoint)), SamplingSettings(), tuned)
        assert isinstance(built, ANLLatentDiffusion)
        weights.append(built.model.unet.state_dict())
    before, plain, changed = (torch.cat([tensor.flatten() for tensor in one.values()]) for one in weights)
    # of how far the tuning went; bfloat16's sums of parts are rounded otherwise, and AdamW enlarges small gradients
    most = {"fp32": 1e-3, "bf16": 0.1}[precision]
    assert float((changed - plain).norm() / (plain - before).norm()) < most


# ----------------------------------------------------------------------------------------------------------------------
# bad input


def test_a_truncated_image_is_named(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "photos" / "train" / "dog" / "1.png"
    bad.write_bytes(bad.read_bytes()[:200])
    line = refused(command_module.main, [*words, "--out", "set"], Path(), monkeypatch, capsys)
    assert "train/dog/1.png cannot be read as an image" in line
    assert not (tmp_path / "set" / "manifest.csv").exists()


def test_of_a_class_with_fewer_images_all_are_labeled(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command_module.main([*words, "data.labels_per_class=6", "--dry-run"])
    said = capsys.readouterr()
    assert "for each of 15 labeled ones" in said.out
    assert "classes with fewer images: 3, among them 'cat'" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.root=nowhere", "nowhere"),
        ("generator.checkpoint=nowhere", "generator.checkpoint=nowhere: there is no such file or folder"),
        ("generator=embedded", "generator.checkpoint has no effect on generator=embedded"),
        ("generator.image_size=18", "multiples of 8"),
        ("data.subset=99", "data.subset=99: there are 15 training images"),
        ("data.crop_to_box=true", "no effect on image_folder"),
    ],
)
def test_settings_that_do_not_fit(
    words: list[str], change: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(command_module.main, [*words, change, "--out", "set"], Path(), monkeypatch, capsys)


def test_another_splits_folder_is_refused_untouched(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_module.main([*words, "--per-sample", "1", "--out", "set"])
    before = contents(tmp_path / "set")
    line = refused(command_module.main, [*words, "data.split_seed=1", "--out", "set"], Path(), monkeypatch, capsys)
    assert "drawn from labeled set" in line
    assert "--out" in line
    assert contents(tmp_path / "set") == before


def test_a_full_disk_leaves_nothing_half_written(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "dog" in str(path):
            real(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, data)

    with monkeypatch.context() as patched, pytest.raises(OSError) as caught:
        patched.setattr(Path, "write_bytes", full)
        command_module.main([*words, "--per-sample", "1", "--out", "set"])
    assert "no space left" in error_line(caught.value)
    assert not [path for path in (tmp_path / "set").rglob("*") if path.is_file() and "dog" in str(path)]
    command_module.main([*words, "--per-sample", "1", "--out", "set"])
    command_module.main([*words, "--per-sample", "1", "--out", "plain"])
    assert contents(tmp_path / "set") == contents(tmp_path / "plain")


def test_a_folder_that_cannot_be_made_is_named(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    line = refused(command_module.main, [*words, "--out", "file/set"], Path(), monkeypatch, capsys)
    assert "file" in line
    assert (tmp_path / "file").read_text() == "mine"


def test_help_names_flags_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    command_module.main(["--help"])
    said = capsys.readouterr().out
    for name in (
        "--per-sample",
        "--dry-run",
        "tune.approach=anl",
        "mask_rate=null",
        "delta: side of",
        "data=celeba|csv|digits",
    ):
        assert name in said


def test_the_embedded_generator_says_how_to_get_its_weights(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "EMBEDDED", tmp_path / "nothing")
    plain = [*(word for word in words if not word.startswith("generator")), "generator=embedded"]
    assert "python -m ssl_aug.pretrain" in refused(command_module.main, plain, Path(), monkeypatch, capsys)
    shutil.rmtree(tmp_path / "photos")


@pytest.mark.parametrize(
    ("levels", "steps", "allowed"), [("1000", 300, False), ("1000", 125, True), ("800", 125, False), ("800", 160, True)]
)
def test_ddim_steps_are_checked_against_the_model_at_hand_before_any_work(
    words: list[str], tmp_path: Path, levels: str, steps: int, allowed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if levels == "800":  # the embedded model's, which takes no checkpoint
        words = [*(word for word in words if not word.startswith("generator")), "generator=embedded"]
    asked = [*words, "sampler=ddim", f"steps={steps}", "tune.root=adapters"]
    if allowed:
        tune_module.main([*asked, "--dry-run"])
        assert "would tune on 15 images" in capsys.readouterr().out
    else:
        with pytest.raises(ValueError, match=rf"steps={steps}: sampler=ddim takes divisors of this model's {levels}"):
            command_module.main([*asked, "--out", "set"])
    assert not (tmp_path / "adapters").exists() and not (tmp_path / "set").exists()
