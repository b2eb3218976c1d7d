"""The chain on diffusers pipelines, from the command line: tuning, drawing, going on, benchmarks, evaluation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from benchmarks.run import main as benchmark
from ssl_aug import convert as convert_module
from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module
from ssl_aug.files import read_json
from ssl_aug.synthetic import SyntheticSet
from tests.chain.walks import assert_stopped_work_goes_on_to_the_same_bytes, refused
from tests.conftest import write_image_folder
from tests.generators.pipelines import IMAGE, TEXT, WORDS, write_clip, write_pipeline

WEIGHTS_PAGE = Path(__file__).resolve().parents[2] / "docs" / "weights.md"
# kind, prediction, condition: an image encoder of the pipeline's own or CLIP from elsewhere, each prediction
CASES = {
    "variations": (IMAGE, "epsilon", "image"),
    "variations, borrowed": (IMAGE, "epsilon", "borrowed"),
    "text, v": (TEXT, "v_prediction", "image"),
    "class": (TEXT, "epsilon", "class"),
    "image and class, v": (TEXT, "v_prediction", "image+class"),
    "text2im": (WORDS, "epsilon", "class"),
}
KINDS = pytest.mark.parametrize("words", CASES.values(), indirect=True, ids=CASES)
# bfloat16 rounds otherwise, whatever the kind
IN_PRECISIONS = pytest.mark.parametrize(
    ("words", "precision"),
    [*((case, "fp32") for case in CASES.values()), (CASES["variations"], "bf16")],
    indirect=["words"],
    ids=[*(f"{name}-fp32" for name in CASES), "variations-bf16"],
)


@pytest.fixture
def words(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """A command line of a second on 15 photos, 9 of them labeled, in a working folder of its own."""
    kind, prediction, condition = getattr(request, "param", (IMAGE, "epsilon", "image"))
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    write_pipeline(tmp_path / "pipeline", kind, prediction)
    clip = []
    if kind in (TEXT, WORDS):
        write_clip(tmp_path / "open_clip_model.safetensors", monkeypatch)
        clip = ["generator.clip_checkpoint=open_clip_model.safetensors"]
    named = ["tune.images=labeled"] if "class" in condition else []
    return [
        *named,
        *("data=image_folder", "data.root=photos", "data.labels_per_class=3", "device=cpu", f"condition={condition}"),
        *("generator=ldm", "generator.checkpoint=pipeline", *clip, "tune.steps=4", "tune.batch_size=4"),
        *("tune.base_learning_rate=1e-3", "steps=4", "batch_size=4", "per_sample=2", f"precision={precision}"),
    ]


@IN_PRECISIONS
def test_a_tuning_and_a_drawing_that_were_stopped_go_on_to_the_same_bytes(words: list[str], tmp_path: Path) -> None:
    assert_stopped_work_goes_on_to_the_same_bytes(words, tmp_path, 3 * 3 * 2, step=2)


@pytest.mark.parametrize(
    ("words", "precision"),
    [(CASES["text2im"], "fp32"), (CASES["variations"], "bf16")],
    indirect=["words"],
    ids=["text2im-fp32", "variations-bf16"],
)
def test_batch_sizes_agree_within_rounding(words: list[str], tmp_path: Path, precision: str) -> None:
    sets = []
    for size in (1, 7):
        generate_module.main([*words, f"batch_size={size}", "--out", f"set{size}"])
        examples = SyntheticSet.open(tmp_path / f"set{size}").examples
        sets.append(np.stack([np.asarray(Image.open(example.path), dtype=int) for example in examples]))
    most = {"fp32": 1, "bf16": 4}[precision]  # of 256 grey levels
    assert np.abs(sets[0] - sets[1]).max() <= most


@KINDS
def test_a_benchmark_is_run_on_what_was_drawn(words: list[str], tmp_path: Path) -> None:
    generate_module.main(words)
    train = ["method=erm", "augment=true", "model=tiny", "train.steps=3", "train.batch_size=4", "runs=runs"]
    of_benchmark = [word for word in words if not word.startswith("batch_size")]
    benchmark([*of_benchmark, *train])
    (result,) = (tmp_path / "runs").rglob("result.json")
    assert read_json(result)["num_synthetic"] == 18


@pytest.mark.parametrize(
    "words", [(TEXT, "epsilon", "class"), (TEXT, "epsilon", "image+class")], indirect=True, ids=["class", "both"]
)
def test_with_class_names_all_of_the_attention_is_tuned_on_labeled_images(words: list[str], tmp_path: Path) -> None:
    reports = ["tune.report_every=2", "tune.condition_dropout=0.5"]
    generate_module.main([*words, *reports, "guidance=2", "class_prompt='a {class}, seen'", "--out", "set"])
    (path,) = (tmp_path / "outputs" / "adapters").glob("*/adapter_000004.safetensors")
    assert any(".attn2.to_q." in name for name in load_file(path))  # with 77 tokens or more queries and keys matter
    facts, record = read_json(path.with_suffix(".json")), read_json(tmp_path / "set/generator.json")
    assert facts["num_images"] == 9
    assert record["class_prompt"] == "a {class}, seen"
    assert (path.parent / "samples_000004.png").is_file()
    others = [f"condition={condition}" for condition in ("class", "image+class")]
    for other in [*others, "class_prompt='the {class}'"]:  # a tuning for each condition and prompt
        tune_module.main([*words, *reports, other])
    assert len(list((tmp_path / "outputs" / "adapters").iterdir())) == 4


@pytest.mark.parametrize(
    "words",
    [(TEXT, "epsilon", "class"), (TEXT, "epsilon", "image+class"), (IMAGE, "epsilon", "image")],
    indirect=True,
    ids=["class", "both", "variations"],
)
def test_untuned_weights_draw_as_they_are(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untuned = [word for word in words if not word.startswith("tune.")] + ["tune.steps=0", "guidance=3"]
    generate_module.main([*untuned, "--dry-run"])
    assert "untuned" in capsys.readouterr().out
    generate_module.main([*untuned, "--out", "set"])
    assert len(SyntheticSet.open(tmp_path / "set")) == 18
    assert not (tmp_path / "outputs").exists()
    follows = "condition=class" in words or "generator.clip_checkpoint=open_clip_model.safetensors" not in words
    assert ("was not trained with images as its condition" in capsys.readouterr().err) == (not follows)


def documented_commands() -> list[list[str]]:
    """Every command of the page's worked example, its words."""
    page = WEIGHTS_PAGE.read_text()
    example = page.partition("## Stable Diffusion 1.5 on your own photos")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\w*\n(.*?)^```$", example, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    given = next(shlex.split(line)[0].removeprefix("A=") for line in lines if line.startswith("A="))
    commands = [line.replace("$A", given) for line in lines if line.startswith("python -m ")]
    return [shlex.split(line, comments=True)[2:] for line in commands]


@pytest.mark.parametrize("words", [(TEXT, "epsilon", "class")], indirect=True)
def test_every_command_of_the_documents_runs(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pipeline").rename("sd15")
    mains = {"ssl_aug.tune": tune_module.main, "ssl_aug.generate": generate_module.main, "benchmarks.run": benchmark}
    commands = documented_commands()
    assert {module for module, *_ in commands} == mains.keys()
    for module, *asked in commands:
        more = ["generator.image_size=16", "steps=2", "tune.batch_size=4", "per_sample=2"]
        if "tune.steps=0" not in asked:
            more.append("tune.steps=2")
        if "augment=false" in asked:
            more = []
        if module == "benchmarks.run":
            more += ["model=tiny", "train.steps=2", "train.batch_size=4", "train.num_workers=0"]
        mains[module]([*asked, "device=cpu", "precision=fp32", *more])
    assert "would draw 24 images (2 for each of 12 labeled ones)" in capsys.readouterr().out
    sets = list((tmp_path / "outputs" / "synthetic").iterdir())
    assert len(sets) == sum(module == "ssl_aug.generate" for module, *_ in commands) - 1  # one was only asked about
    results = [read_json(path)["num_synthetic"] for path in (tmp_path / "outputs" / "runs").rglob("result.json")]
    assert sorted(results) == [0, 24]


def test_only_the_spatial_transformers_are_tuned_and_the_record_names_the_weights(
    words: list[str], tmp_path: Path
) -> None:
    generate_module.main([*words, "--out", "set"])
    (path,) = (tmp_path / "outputs" / "adapters").glob("*/adapter_000004.safetensors")
    adapter, base = load_file(path), load_file(tmp_path / "pipeline/unet/diffusion_pytorch_model.safetensors")
    assert all(".attentions." in name for name in adapter)
    assert any(not torch.equal(adapter[name], base[name]) for name in adapter)
    facts, record = read_json(path.with_suffix(".json")), read_json(tmp_path / "set/generator.json")
    assert facts["model_id"] == record["model_id"]
    assert facts["clip_image_norm"] > 0  # the pipeline does not know it: tuning measured it


# ----------------------------------------------------------------------------------------------------------------------
# refusals: exit code 2 and one line, nothing written


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("generator.checkpoint=owner/name", "snapshot_download('owner/name', local_dir='FOLDER'"),
        ("generator.clip_checkpoint=openai", "generator.clip_checkpoint has no effect"),
        ("prompt=car", "prompt='car': pipeline embeds images alone; leave the prompt out"),
        ("steps=300 sampler=ddim", "sampler=ddim takes divisors of this model's 1000 noise levels"),
        ("generator.image_size=18", "multiples of 4"),
        ("condition=class tune.images=labeled", "a StableDiffusionImageVariationPipeline has no text encoder"),
        ("condition=class", "set tune.images=labeled too, or tune.steps=0"),
        ("condition=class tune.images=labeled mask_rate=0.5", "mask_rate has no effect on condition=class"),
        ("class_prompt=car", "class_prompt has no effect on condition=image"),
        ("tune.steps=0 tune.approach=scratch", "tune.approach=scratch has no effect on tune.steps=0"),
        ("tune.steps=0 tune.condition_dropout=0.1", "tune.condition_dropout has no effect on tune.steps=0"),
    ],
)
def test_settings_that_do_not_fit(
    words: list[str],
    more: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in refused(generate_module.main, [*words, *more.split(), "--dry-run"], tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("words", [(WORDS, "epsilon", "image")], indirect=True)
def test_text2im_takes_no_images(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(generate_module.main, words, tmp_path, monkeypatch, capsys)
    assert "pipeline takes the tokens of texts alone, use condition=class with tune.images=labeled" in line


def test_a_pipeline_of_another_kind_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pipeline/model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    line = refused(generate_module.main, words, tmp_path, monkeypatch, capsys)
    assert line.startswith("error: generator.checkpoint=pipeline: a FluxPipeline is a transformer; give a ")


def test_convert_says_that_a_pipeline_is_used_as_it_is(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(convert_module.main, ["pipeline", "--out", "new"], tmp_path, monkeypatch, capsys)
    assert line.endswith("pipeline is a folder: give it as generator.checkpoint=pipeline; convert takes model.ckpt")
