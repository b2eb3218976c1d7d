"""A compiled network is one where it pays back, and a set goes on as it was begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from generators.noisy_reference import NoisyReference
from generators.settings import GeneratorSettings, SamplingSettings
from ssl_aug.command_line import compose
from ssl_aug.data.build import load_and_tell
from ssl_aug.drawing import compiling
from ssl_aug.drawing.compiling import Chunks, Outlook, Work, is_wanted, outlook, settled
from ssl_aug.drawing.draw import draw_set
from ssl_aug.drawing.estimate import Cost, _drawing
from ssl_aug.drawing.foretold import foretold
from ssl_aug.drawing.generator import draw
from ssl_aug.files import read_json, write_json
from ssl_aug.runtime import placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import make_chunks, make_requests
from tests.conftest import contents

Graphs = list[torch.fx.GraphModule]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    """What PyTorch was asked to compile, by a backend that leaves it as it is."""
    asked: Graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        asked.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(compiling, "BACKEND", backend)
    return asked


@pytest.fixture
def not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled stays as it is, where a test is of all else: PyTorch looks through a network for a second."""
    monkeypatch.setattr(ANLLatentDiffusion, "compiled", lambda self, backend: self)


@pytest.fixture
def settings(image_folder: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Three chunks of 4, 4 and 1 images for each of two k."""
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={image_folder}", "data.labels_per_class=3", "generator=ldm"]
    words += [f"generator.checkpoint={tiny_checkpoint}", "tune.steps=0", "sampler=dpmpp", "steps=3", "batch_size=4"]
    return compose("generate", [*words, "per_sample=2", "device=cpu", "precision=fp32", "guidance=2"], Settings)


def drawn(settings: Settings, folder: str, **changes: Any) -> Path:
    asked = replace(settings, synthetic=replace(settings.synthetic, root=folder), **changes)
    draw_set(asked, *load_and_tell(asked.data))
    return Path(folder)


def pictures(folder: Path) -> dict[str, bytes]:
    return contents(folder / "images")


def test_settings_take_true_and_false_as_hydra_and_python_write_them() -> None:
    for given, held in ((True, "true"), ("False", "false"), ("auto", "auto")):
        assert Settings(compile=given).compile == held  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="compile=maybe: choose one of auto, true, false"):
        Settings(compile="maybe")
    with pytest.raises(ValueError, match="compile=true has no effect on generator=noise"):
        compose("generate", ["generator=noise", "compile=true"], Settings)


def test_one_graph_serves_all_chunks_and_the_record_says_so(settings: Settings, graphs: Graphs) -> None:
    folder = drawn(settings, "compiled", compile="true")
    assert len(graphs) == 1
    assert read_json(folder / "generator.json")["compiled"] is True


def test_compiled_and_eager_images_agree_within_rounding(
    tiny_checkpoint: Path, graphs: Graphs, image_folder: Path
) -> None:
    sampling = SamplingSettings(sampler="dpmpp", steps=3, guidance=2.0)
    generator = build_generator(GeneratorSettings("ldm", str(tiny_checkpoint), 16), sampling)
    reference = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    arguments = (reference, ("a", "b", "c"), (1, 2, 3))
    assert torch.allclose(generator.compiled(compiling.BACKEND)(*arguments), generator(*arguments), atol=1e-5)  # type: ignore[attr-defined]
    assert len(graphs) == 1


def test_shards_draw_the_same_pictures(settings: Settings, not_compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn(settings, "whole", compile="true")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        drawn(settings, "sharded", compile="true")
    assert pictures(Path("sharded")) == pictures(whole)
    assert read_json(Path("sharded/generator.json"))["compiled"] is True


def test_a_set_goes_on_as_it_was_begun(settings: Settings, not_compiled: None) -> None:
    whole = drawn(settings, "whole", compile="true")
    drawn(settings, "longer", compile="true", per_sample=1)
    assert pictures(drawn(settings, "longer")) == pictures(whole)  # compile=auto
    with pytest.raises(ValueError, match=r"compile=false: this set was begun with compile.*leave it out"):
        drawn(settings, "longer", compile="false", per_sample=3)
    eager = drawn(settings, "eager", per_sample=1)
    assert read_json(eager / "generator.json")["compiled"] is False
    with pytest.raises(ValueError, match=r"compile=true: this set was begun without compile.*leave it out"):
        drawn(settings, "eager", compile="true")


def test_a_set_of_before_the_word_is_eager(settings: Settings) -> None:
    folder = drawn(settings, "old", per_sample=1)
    record = read_json(folder / "generator.json")
    del record["compiled"]
    write_json(folder / "generator.json", record)
    with pytest.raises(ValueError, match="begun without compile"):
        drawn(settings, "old", compile="true")
    drawn(settings, "old")
    assert read_json(folder / "generator.json")["compiled"] is False


@pytest.fixture
def work(settings: Settings, tiny_checkpoint: Path) -> Work:
    labeled = load_and_tell(settings.data)[1].labeled
    generator = build_generator(GeneratorSettings("ldm", str(tiny_checkpoint), 16), settings.sampling())
    chunks = make_chunks(make_requests(labeled, 2, 0), 4)
    return Work(generator, settings.sampling(), chunks, labeled, placement("cpu", "fp32"), "ldm")


def test_auto_compiles_where_more_is_won_than_spent_and_goes_on_with_what_is_there(work: Work) -> None:
    cheap, dear = (work_with(work, Outlook(spent=60, won=won)) for won in (59, 61))
    assert not is_wanted("auto", None, cheap)
    assert is_wanted("auto", None, dear)
    assert is_wanted("auto", True, cheap)
    assert not is_wanted("auto", False, dear)
    assert not is_wanted("false", None, dear)
    assert is_wanted("true", None, cheap)
    with pytest.raises(ValueError, match="compile=true has no effect on generator=mine"):
        is_wanted("true", None, replace(work, generator=NoisyReference(16), name="mine"))


def work_with(work: Work, foreseen: Outlook) -> Work:
    other = replace(work)
    vars(other)["outlook"] = foreseen
    return other


def test_much_work_in_bfloat16_pays_back_and_rows_that_only_fill_up_count_against_it() -> None:
    low = placement("cpu", "bf16")
    assert not outlook(1e3, 1e3, low, cores=2).pays_back
    assert outlook(1e6, 1e6, low, cores=2).pays_back
    assert not outlook(1e6, 1.5e6, low, cores=2).pays_back
    assert outlook(1e6, 1e6, low, cores=2).won > 5 * outlook(1e6, 1e6, placement("cpu", "fp32"), cores=2).won


def test_the_outlook_is_of_what_one_process_draws(work: Work) -> None:
    assert work.rows == 4
    twice = [chunk for chunk in work.chunks for _ in range(2)]
    whole, half = (replace(work, chunks=chunks).outlook.won for chunks in (twice, work.chunks))
    assert whole == pytest.approx(2 * half)
    assert replace(work, chunks=twice, num_shards=2).outlook.won == pytest.approx(half)


def test_without_a_compiler_auto_draws_eagerly_and_true_is_refused(
    work: Work, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        raise RuntimeError("No working C++ compiler found")

    torch._dynamo.reset()
    monkeypatch.setattr(compiling, "BACKEND", backend)
    worthwhile = work_with(work, Outlook(spent=1, won=2))
    assert settled("auto", None, worthwhile) is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[1].startswith("PyTorch cannot compile here (") and "No working C++ compiler found" in said[1]
    with pytest.raises(ValueError, match=r"compile=true: PyTorch cannot compile here .*install a C\+\+ compiler"):
        settled("true", None, work)
    with pytest.raises(ValueError, match=r"this set was begun with compile, and PyTorch cannot .*--out"):
        settled("auto", True, work)


def test_rows_that_fill_up_a_chunk_are_left_out(work: Work) -> None:
    (chunk,) = (chunk for chunk in work.chunks if len(chunk) == 1 and chunk[0].k == 0)
    filled = draw(work.generator, chunk, work.labeled, work.place, 4)
    assert filled.shape == (1, 3, 16, 16)
    assert torch.allclose(filled, draw(work.generator, chunk, work.labeled, work.place), atol=1e-4)


@pytest.mark.parametrize(("way", "said"), [("true", ", compiled (1.04 times"), ("auto", ", not compiled")])
def test_a_dry_run_says_whether_the_network_is_compiled_and_reckons_with_it(
    settings: Settings, way: str, said: str
) -> None:
    asked = replace(settings, compile=way, synthetic=replace(settings.synthetic, root="set"))
    (line,) = (line for line in foretold(asked, *load_and_tell(asked.data)).splitlines() if line.startswith("time to"))
    assert said in line and line.endswith(", as fast as the machine is now")


def test_a_compiled_network_is_reckoned_faster_but_for_the_rows_that_fill_up(work: Work, settings: Settings) -> None:
    dear = replace(work, sampling=replace(work.sampling, steps=500))
    whole, odd = ([chunk for chunk in work.chunks if len(chunk) == size] for size in (4, 1))

    def hours(way: str, chunks: Chunks) -> float:
        said = _drawing(replace(settings, compile=way), Path("set"), dear, chunks, [Cost(0.0, 360.0)])
        assert " h, " in said
        return float(said.split()[0])

    assert hours("true", whole) == pytest.approx(hours("false", whole) / 1.04, abs=0.1)
    assert hours("true", odd) == pytest.approx(4 * hours("false", odd) / 1.04, abs=0.4)
