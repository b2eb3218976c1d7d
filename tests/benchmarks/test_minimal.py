"""The one-file FixMatch runs, agrees with the package on the loss, and stays small."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from benchmarks import minimal
from benchmarks.methods.fixmatch import pseudo_label_loss


def test_it_trains_on_folders(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(pictures / name) for name in ("train", "train", "test")]
    small = ["--backbone", "resnet18", "--size", "32", "--batch", "4", "--workers", "0", "--device", "cpu"]
    minimal.main([*folders, *small, "--steps", "3", "--every", "2"])
    printed = capsys.readouterr().out
    assert "step 2: test accuracy" in printed and "test accuracy after the last step" in printed


def test_its_loss_is_the_packages() -> None:
    torch.manual_seed(0)
    strong, weak = 3 * torch.randn(2, 30, 5)
    assert minimal.pseudo_label_loss(strong, weak, 0.6) == pseudo_label_loss(strong, weak, 0.6, strict=True)


def test_a_class_without_labels_and_an_empty_folder_are_named(pictures: Path, tmp_path: Path) -> None:
    for folders in ((tmp_path, pictures / "train", pictures / "test"), (pictures / "train", tmp_path, tmp_path)):
        with pytest.raises(SystemExit, match="holds no images"):
            minimal.main([str(folder) for folder in folders])
    with pytest.raises(SystemExit, match=r"class 'class_0' of .* has no images in"):
        minimal.main([str(pictures / "train" / "class_1"), str(pictures / "train"), str(pictures / "test")])


def test_it_is_one_file_of_at_most_150_lines_that_imports_nothing_of_ours() -> None:
    source = Path(minimal.__file__).read_text()
    assert len(source.splitlines()) <= 150
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert not imported & {"benchmarks", "ssl_aug", "generators", "timm"}
