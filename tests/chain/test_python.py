"""From Python: the same as the commands, with the data given; `import ssl_aug` costs nothing."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmarks
import ssl_aug
from ssl_aug.generate import main as generate_command
from ssl_aug.tune import main as tune_command
from tests.conftest import contents, stop_drawing_after, write_image_folder

ROOT = Path(__file__).resolve().parents[2]
IMPORT_SECONDS = 0.3


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures, beside the working folder's outputs."""
    monkeypatch.chdir(tmp_path)
    return write_image_folder(tmp_path / "photos")


def control(per_sample: int = 2) -> ssl_aug.Settings:
    """Noise on the labeled images: no model."""
    generator = ssl_aug.GeneratorSettings(name="noise", image_size=16)
    settings = ssl_aug.default_settings("noise")
    return replace(settings, generator=generator, per_sample=per_sample, device="cpu", precision="fp32")


def tiny(checkpoint: Path) -> ssl_aug.Settings:
    """A tuning and a drawing that take a second."""
    return ssl_aug.Settings(
        generator=ssl_aug.GeneratorSettings(name="ldm", checkpoint=str(checkpoint)),
        tune=ssl_aug.TuneSettings(steps=3, batch_size=4),
        steps=4,
        batch_size=4,
        per_sample=1,
        device="cpu",
        precision="fp32",
    )


def test_the_package_is_imported_at_once_and_without_torch() -> None:
    """Processor time; of two starts, since the first may compile the files."""
    code = (
        "import resource, sys\n"
        "def used(): now = resource.getrusage(resource.RUSAGE_SELF); return now.ru_utime + now.ru_stime\n"
        "before = used()\n"
        "import ssl_aug\n"
        "print(used() - before, sorted({'torch', 'numpy', 'hydra'} & sys.modules.keys()))\n"
        "[getattr(ssl_aug, name) for name in ssl_aug.__all__]\n"
        "print('torch' in sys.modules)\n"
    )
    seconds = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        first, second = done.stdout.splitlines()
        took, slow = first.split(maxsplit=1)
        assert (slow, second) == ("[]", "False")
        seconds.append(float(took))
    assert min(seconds) < IMPORT_SECONDS


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in ssl_aug.__all__:
        assert inspect.getdoc(getattr(ssl_aug, name)), name
    assert set(ssl_aug.__all__) <= set(dir(ssl_aug))
    with pytest.raises(AttributeError, match=r"no attribute 'genrate': it has .*generate"):
        ssl_aug.genrate  # noqa: B018


def test_a_set_drawn_from_python_is_the_commands_byte_for_byte(photos: Path) -> None:
    data = ssl_aug.load(photos, labels_per_class=3)
    here = ssl_aug.generate(data, control(), out="here")
    words = ["data=image_folder", f"data.root={photos}", "data.labels_per_class=3", "generator=noise"]
    words += ["generator.image_size=16", "device=cpu", "precision=fp32", "per_sample=2"]
    generate_command([*words, "--out", "there"])
    assert contents(here.folder) == contents(Path("there"))
    by_default = ssl_aug.generate(data, control())
    folders = list(Path("outputs/synthetic").iterdir())
    generate_command(words)
    assert folders == [by_default.folder] == list(Path("outputs/synthetic").iterdir())


def test_tuned_weights_from_python_are_the_commands(
    photos: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ssl_aug.load(photos, labels_per_class=3)
    told: list[tuple[int, int, str]] = []
    adapter = ssl_aug.tune(data, tiny(tiny_checkpoint), progress=lambda *state: told.append(state))
    assert adapter.is_file() and (3, 3, "tuning (anl)") in told and told[0][0] == 0
    before = len(told)
    assert ssl_aug.tune(data, tiny(tiny_checkpoint)) == adapter and len(told) == before
    words = ["data=image_folder", f"data.root={photos}", "data.labels_per_class=3", "generator=ldm"]
    words += [f"generator.checkpoint={tiny_checkpoint}", "tune.steps=3", "tune.batch_size=4", "device=cpu"]
    tune_command([*words, "tune.base_learning_rate=2e-6", "precision=fp32"])
    assert f"{adapter} is already there" in capsys.readouterr().out
    synthetic = ssl_aug.generate(data, tiny(tiny_checkpoint), progress=lambda *state: told.append(state))
    assert len(synthetic) == 9 and told[-1] == (9, 9, "drawing")


def test_the_bar_of_a_shard_that_goes_on_ends_at_its_total(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four chunks, the last half full, over two processes; the first is stopped after a chunk."""
    data, told = ssl_aug.load(photos, labels_per_class=3), list[tuple[int, int, str]]()
    settings = replace(control(), batch_size=5)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with stop_drawing_after(1):
        ssl_aug.generate(data, settings)
    for rank, total, begun in (("0", 10, 5), ("1", 8, 0)):
        monkeypatch.setenv("RANK", rank)
        with contextlib.suppress(ValueError):  # the other process has not drawn yet
            ssl_aug.generate(data, settings, progress=lambda *state: told.append(state))
        assert told[0] == (begun, total, "drawing") and told[-1] == (total, total, "drawing")
        told.clear()


def test_an_augmented_set_is_a_torch_dataset(photos: Path) -> None:
    data = ssl_aug.load(photos, labels_per_class=3)
    synthetic = ssl_aug.generate(data, control())
    augmented = data.with_synthetic(synthetic)
    assert (len(data.labeled), len(augmented.labeled)) == (9, 27)
    assert augmented.labeled == data.labeled.with_synthetic(synthetic)
    dataset = ssl_aug.torch_dataset(augmented.labeled, lambda picture: torch.tensor(picture.size))
    assert isinstance(dataset, torch.utils.data.Dataset)
    assert len(dataset) == 27 and dataset[26][0].tolist() == [16, 16] and dataset[26][1] == dataset.targets[26]
    other = ssl_aug.load(photos, labels_per_class=2)
    with pytest.raises(ValueError, match="was drawn from labeled set"):
        other.with_synthetic(synthetic)


def test_images_that_show_no_class_do_not_join(photos: Path, tiny_checkpoint: Path) -> None:
    data = ssl_aug.load(photos, labels_per_class=3)
    synthetic = ssl_aug.generate(data, replace(tiny(tiny_checkpoint), prompt="a red car"))
    with pytest.raises(
        ValueError, match="prompt='a red car' decided what its images show, not the labeled image: they have no labels"
    ):
        data.with_synthetic(synthetic)


def test_fewer_images_of_a_longer_set_are_its_first(photos: Path) -> None:
    data = ssl_aug.load(photos, labels_per_class=3)
    three = ssl_aug.generate(data, control(3))
    assert ssl_aug.generate(data, control(2)).rows == three.first(2).rows


def test_settings_that_do_not_fit_are_named(photos: Path) -> None:
    data = ssl_aug.load(photos, labels_per_class=3)
    with pytest.raises(ValueError, match=r"settings.data=.*the data were loaded with"):
        ssl_aug.generate(data, replace(control(), data=ssl_aug.DataSettings(name="digits")))
    with pytest.raises(ValueError, match="dry_run=True has no effect here"):
        ssl_aug.generate(data, replace(control(), dry_run=True))
    with pytest.raises(ValueError, match="both name a folder"):
        ssl_aug.generate(data, replace(control(), synthetic=ssl_aug.SyntheticSettings(root="a")), out="b")
    with pytest.raises(ValueError, match="generator=noise is not tuned"):
        ssl_aug.tune(data, control())
    with pytest.raises(ValueError, match="there is no such generator; choose one of embedded"):
        ssl_aug.default_settings("embeded")


# ---------------------------------------------------------------------------------------------------------------------
# documents

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def test_the_notebook_runs_and_is_kept_without_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    assert not re.search(r"[\"'](/|[A-Z]:)", code) and "precision=" in code
    names: dict[str, Any] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    images, labels = names["batch"]
    assert images.shape[1:] == (3, 64, 64) and len(labels) == len(images)


PAGE = ROOT / "docs" / "api.md"
SECTION = re.compile(r"^### (\S+)[^\n]*\n(.*?)(?=^#|\Z)", flags=re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def sections(package: str) -> dict[str, str]:
    """The sections of the page's chapter on a package, by the name that each is about."""
    chapters = dict(re.findall(r"^# (\w+)\n(.*?)(?=^# |\Z)", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL))
    return dict(SECTION.findall(chapters[package]))


@pytest.mark.parametrize("package", [ssl_aug, benchmarks], ids=["ssl_aug", "benchmarks"])
def test_the_page_has_every_public_name_with_an_example_and_functions_with_their_signature(package: Any) -> None:
    found = sections(package.__name__)
    assert sorted(found) == sorted(package.__all__)
    for name, section in found.items():
        blocks = [(language, code) for language, code in BLOCK.findall(section)]
        assert any(language == "python" for language, _ in blocks), name
        thing = getattr(package, name)
        if not inspect.isclass(thing):
            written = "".join(f"{code}" for language, code in blocks if not language)
            expected = f"{package.__name__}.{name}{inspect.signature(thing)}"
            assert bare(written) == bare(expected), name


def bare(signature: str) -> str:
    """Without quotes, blanks and the comma behind the last argument."""
    return re.sub(r"[\s'\"]", "", signature).replace(",)", ")")


def test_the_examples_of_the_page_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for language, code in BLOCK.findall(PAGE.read_text()):
        if language == "python":
            exec(code, names)
    assert (len(names["train"]), len(names["test"])) == (48, 16)
    assert names["labels"] == ["plain", "+ augmentation", "difference"]
