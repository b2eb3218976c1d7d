"""The manifest says of each image what its generator did: the rectangle that was erased, the image that lent."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generators import anl_ldm
from generators.anl_ldm import ANLLatentDiffusion, Draw
from generators.build import build_generator
from generators.settings import GeneratorSettings, SamplingSettings
from ssl_aug import generate as generate_module
from ssl_aug.synthetic import SyntheticSet
from tests.conftest import write_image_folder


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """The rectangles that are erased and the rows that are borrowed from, and which class each drawing is of."""
    calls: dict[str, list] = {"boxes": [], "lenders": [], "told": []}
    erase, borrow, remember = anl_ldm.erase, anl_ldm.borrow, ANLLatentDiffusion.remember

    def erases(images: Tensor, boxes: Sequence, fill: Tensor) -> Tensor:
        calls["boxes"] += boxes
        return erase(images, boxes, fill)

    def borrows(masked: Tensor, whole: Tensor, names: Sequence[str], lenders: Sequence[int], known) -> Tensor:
        calls["lenders"] += lenders
        return borrow(masked, whole, names, lenders, known)

    def remembers(self: ANLLatentDiffusion, labeled: Tensor, names: Sequence[str], unlabeled=None) -> float:
        calls["told"] += names
        return remember(self, labeled, names, unlabeled)

    monkeypatch.setattr(anl_ldm, "erase", erases)
    monkeypatch.setattr(anl_ldm, "borrow", borrows)
    monkeypatch.setattr(ANLLatentDiffusion, "remember", remembers)
    return calls


@pytest.mark.parametrize(
    ("more", "masks", "borrows"),
    [
        (["condition=image"], True, False),
        (["condition=image", "mask_rate=0"], True, False),
        (["condition=borrowed", "mask_rate=0.5"], True, True),
        (["condition=borrowed"], True, True),
        (["prompt=a red car"], False, False),
        (["condition=none", "tune.condition_dropout=0.5"], False, False),
        (["tune.approach=anl_unconditional"], False, False),
    ],
    ids=str,
)
def test_the_manifest_names_what_the_generator_used(
    more: list[str],
    masks: bool,
    borrows: bool,
    used: dict[str, list],
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    generate_module.main([
        *("data=image_folder", "data.root=photos", "data.labels_per_class=3", "device=cpu", "precision=fp32"),
        *("generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "tune.steps=1", "tune.batch_size=4"),
        *("steps=1", "sampler=dpmpp", "batch_size=9", "--per-sample", "2", "--out", "set"),
        *more,
    ])  # fmt: skip
    rows = SyntheticSet.open(tmp_path / "set").rows
    assert len(rows) == 18
    assert [row["mask_box"] for row in rows] == (
        [" ".join(map(str, box)) for box in used["boxes"]] if masks else [""] * 18
    )
    rate = next((word.partition("=")[2] for word in more if word.startswith("mask_rate=")), None)
    expected = float(rate) if rate else 0.0 if borrows or not masks else 0.5
    assert {row["mask_rate"] for row in rows} == {str(expected)}
    lent = [row["lender"] for row in rows]
    if not borrows:
        assert used["lenders"] == [] and set(lent) == {""}
        return
    assert len(set(used["lenders"])) > 4
    assert [key.split("/")[-2] for key in lent] == [used["told"][row] for row in used["lenders"]]
    assert len(set(lent)) == len(set(used["lenders"]))  # one name for each row


def test_the_control_erases_and_borrows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate_module.main(["experiment=smoke", "precision=fp32", "per_sample=1", "--out", "set"])
    rows = SyntheticSet.open(tmp_path / "set").rows
    assert {(row["mask_rate"], row["mask_box"], row["lender"]) for row in rows} == {("0.0", "", "")}


def test_a_draw_is_its_seeds_own(tiny_checkpoint: Path) -> None:
    sampling = SamplingSettings(sampler="dpmpp", steps=1, condition="borrowed")
    generator = build_generator(GeneratorSettings("ldm", str(tiny_checkpoint), 16), sampling)
    assert isinstance(generator, ANLLatentDiffusion)
    with pytest.raises(ValueError, match="needs the labeled images first"):
        generator.draw_of(1)
    generator.remember(torch.randn(6, 16), ["cat", "cat", "dog", "dog", "eel", "eel"])
    draws = [generator.draw_of(seed) for seed in range(50)]
    assert draws == [generator.draw_of(seed) for seed in range(50)]
    assert len({draw.mask_box for draw in draws}) > 20
    assert {draw.lender for draw in draws} == set(range(6))
    assert Draw() not in draws
