"""Small adapters: what is trained, that nothing changes before, and that merging changes nothing after."""

from __future__ import annotations

import copy
import hashlib
from functools import partial

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from torch import Tensor, nn

from generators import anl, compvis, ldm, lora
from generators.anl_ddpm import ConditionalUNet
from tests.generators.test_diffusers_pipeline import SD_1, SD_2

INPUTS = (torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([3, 700]))
TOKENS = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(2))


def seed_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])


def tuned(model: ldm.LatentDiffusion, num_tokens: int = 1, rank: int = 3) -> tuple[UNet2DConditionModel, list[str]]:
    """The tiny UNet with matrices beside its layers, all of them moved."""
    unet = copy.deepcopy(model.unet)
    names = lora.add(unet, rank, num_tokens, seed_of)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in anl.set_trainable(unet, names):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return unet, names


def output(unet: UNet2DConditionModel, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = unet(*INPUTS, encoder_hidden_states=tokens).sample
    return found


# ---------------------------------------------------------------------------------------------------------------------
# which layers


@pytest.mark.parametrize(
    ("settings", "counts"),
    [(compvis.UNET, (1.42, 5.67, 22.68)), (SD_1, (1.70, 6.78, 27.13)), (SD_2, (1.73, 6.91, 27.66))],
    ids=["cin256-v2", "SD 1.5", "SD 2.1"],
)
def test_the_counts_at_full_size(settings: dict, counts: tuple[float, float, float]) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**settings)
    layers = lora.layers_of(unet, num_tokens=78)
    for rank, count in zip((4, 16, 64), counts, strict=True):
        found = sum(torch.Size(one).numel() for layer in layers.values() for one in lora.shapes(layer.weight, rank))
        assert found / 1e6 == pytest.approx(count, abs=0.005)
    sizes = [parameter.numel() for parameter in anl.set_trainable(unet, lora.add(unet, 4, 78, seed_of))]
    assert sum(sizes) / 1e6 == pytest.approx(counts[0], abs=0.005)


@pytest.mark.parametrize("is_linear", [False, True])
def test_the_layers_are_the_linear_ones_and_the_projections_of_each_spatial_transformer(is_linear: bool) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**{**SD_1, "use_linear_projection": is_linear})
    kinds: dict[str, list[str]] = {}
    for name, layer in lora.layers_of(unet, num_tokens=77).items():
        kinds.setdefault(name.split(".attentions.")[1].partition(".")[2], []).append(type(layer).__name__)
    block = "transformer_blocks.0."
    parts = ("to_q", "to_k", "to_v", "to_out.0")
    attention = [f"{block}{attn}.{part}" for attn in ("attn1", "attn2") for part in parts]
    inner = [*attention, f"{block}ff.net.0.proj", f"{block}ff.net.2"]
    assert kinds.keys() == {*inner, "proj_in", "proj_out"}
    assert all(kinds[name] == ["Linear"] * 16 for name in inner)
    outer = "Linear" if is_linear else "Conv2d"
    assert kinds["proj_in"] == kinds["proj_out"] == [outer] * 16


def test_with_one_token_queries_and_keys_of_the_cross_attention_are_left_out(tiny_model: ldm.LatentDiffusion) -> None:
    one, several = (lora.layers_of(tiny_model.unet, num_tokens) for num_tokens in (1, 2))
    dead = several.keys() - one.keys()
    assert {name.rpartition(".attn2.")[2] for name in dead} == {"to_q", "to_k"} and len(dead) == 2 * 4
    assert one.keys() < several.keys()


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_exactly_the_matrices_train_and_each_of_them_moves(tiny_model: ldm.LatentDiffusion, num_tokens: int) -> None:
    unet = copy.deepcopy(tiny_model.unet)
    names = lora.add(unet, 2, num_tokens, seed_of)
    parameters = anl.set_trainable(unet, names)
    assert {name for name, parameter in unet.named_parameters() if parameter.requires_grad} == set(names)
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    optimizer = torch.optim.SGD(parameters, 1.0)
    before = {name: parameter.detach().clone() for name, parameter in unet.named_parameters()}
    for _ in range(2):  # A's gradient is zero while B is
        optimizer.zero_grad()
        unet(*INPUTS, encoder_hidden_states=TOKENS[:, :num_tokens]).sample.square().mean().backward()
        optimizer.step()
    moved = {name for name, parameter in unet.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == set(names)


def test_new_spatial_transformers_are_refused() -> None:
    plain = UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, attention_head_dim=8,
        down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    for unet in (plain, ConditionalUNet(copy.deepcopy(plain), token_width=12)):
        with pytest.raises(ValueError, match=r"no pretrained SpatialTransformers.*=anl or all") as said:
            lora.add(unet, 4, 1, seed_of)
        assert "\n" not in str(said.value)


# ---------------------------------------------------------------------------------------------------------------------
# the start


def test_nothing_changes_before_the_first_step(tiny_model: ldm.LatentDiffusion) -> None:
    unet = copy.deepcopy(tiny_model.unet)
    lora.add(unet, 5, 3, seed_of)
    assert torch.equal(output(unet, TOKENS), output(tiny_model.unet, TOKENS))


def test_the_first_matrices_depend_on_seed_and_name_alone(tiny_model: ldm.LatentDiffusion) -> None:
    states = []
    for shared_seed, num_tokens in ((0, 1), (9, 3)):
        torch.manual_seed(shared_seed)
        expected = torch.get_rng_state()
        unet = copy.deepcopy(tiny_model.unet)
        states.append(lora.adapter_state(unet, lora.add(unet, 4, num_tokens, seed_of)))
        assert torch.equal(torch.get_rng_state(), expected)  # the generator that all share was not asked
    few, more = states
    assert few.keys() < more.keys()
    assert all(torch.equal(more[name], tensor) for name, tensor in few.items())
    first = [tensor for name, tensor in more.items() if "lora_A" in name]
    assert len({tensor.sum().item() for tensor in first}) == len(first)
    unet = copy.deepcopy(tiny_model.unet)
    other = lora.adapter_state(unet, lora.add(unet, 4, 3, lambda name: 1 + seed_of(name)))
    assert not any(torch.equal(other[name], tensor) for name, tensor in more.items() if "lora_A" in name)


def test_the_first_matrix_is_uniform_within_one_over_the_root_of_its_inputs() -> None:
    drawn = lora.first_matrix((64, 400, 1, 1), seed=5)
    assert drawn.abs().max() <= 1 / 20
    assert drawn.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.02)
    assert abs(drawn.mean().item()) < 1e-3


# ---------------------------------------------------------------------------------------------------------------------
# merging


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_merged_is_what_was_tuned(tiny_model: ldm.LatentDiffusion, num_tokens: int) -> None:
    unet, names = tuned(tiny_model, num_tokens)
    merged = copy.deepcopy(tiny_model.unet)
    lora.merge(merged, lora.adapter_state(unet, names))
    tokens = TOKENS[:, :num_tokens]
    expected = output(unet, tokens)
    assert (expected - output(tiny_model.unet, tokens)).abs().max() > 0.01
    assert (output(merged, tokens) - expected).abs().max() < 1e-6
    assert merged.state_dict().keys() == tiny_model.unet.state_dict().keys()


def test_the_fold_for_one_token_is_exact_in_tuning_and_after_it(tiny_model: ldm.LatentDiffusion) -> None:
    unet, names = tuned(tiny_model)
    merged, token = copy.deepcopy(tiny_model.unet), TOKENS[:, :1]
    lora.merge(merged, lora.adapter_state(unet, names))
    expected = output(unet, token)
    for one in (unet, merged):
        anl.fold_single_token(one)
        assert (output(one, token) - expected).abs().max() < 1e-6


def test_the_change_of_a_layer_is_b_times_a() -> None:
    A, B = torch.randn(3, 5, 1, 1), torch.randn(7, 3, 1, 1)
    slow = torch.tensor([[sum(B[i, r] * A[r, j] for r in range(3)) for j in range(5)] for i in range(7)])
    assert torch.allclose(lora.change(A, B), slow[:, :, None, None], atol=1e-6)
    assert torch.allclose(lora.change(A[:, :, 0, 0], B[:, :, 0, 0]), slow, atol=1e-6)


def without(adapter: dict[str, Tensor], half: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in adapter.items() if half not in name}


def narrower(adapter: dict[str, Tensor]) -> dict[str, Tensor]:
    name = "unet.mid_block.attentions.0.proj_in.lora_A.weight"
    return {**adapter, name: adapter[name][:, 1:]}


def elsewhere(adapter: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**adapter, "unet.conv_in.lora_A.weight": torch.ones(3, 4), "unet.conv_in.lora_B.weight": torch.ones(16, 3)}


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (
            partial(without, half="lora_B"),
            r"40 weights do not fit \(unet\.down_blocks\..*lora_A\.weight\)",
        ),
        (narrower, r"2 weights do not fit \(unet\.mid_block\.attentions\.0\.proj_in\.lora_A\.weight\)"),
        (elsewhere, r"2 weights do not fit \(unet\.conv_in\.lora_A\.weight\)"),
        (lambda adapter: {"conv_in.weight": torch.ones(3)}, r"1 weights do not fit \(conv_in\.weight\)"),
    ],
)
def test_an_adapter_of_another_model_is_refused_and_changes_nothing(
    tiny_model: ldm.LatentDiffusion, spoil: object, named: str
) -> None:
    unet, names = tuned(tiny_model)
    fresh = copy.deepcopy(tiny_model.unet)
    assert callable(spoil)
    with pytest.raises(ValueError, match=f"the adapter was tuned for another model: {named}"):
        lora.merge(fresh, spoil(lora.adapter_state(unet, names)))
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), tiny_model.unet.parameters(), strict=True))


def test_the_wrapped_layers_are_of_the_kind_that_they_wrap(tiny_model: ldm.LatentDiffusion) -> None:
    unet, _ = tuned(tiny_model, rank=4)
    wrapped = [module for module in unet.modules() if isinstance(module, lora.LowRank)]
    assert {type(one.base) for one in wrapped} == {nn.Linear, nn.Conv2d}
    for one in wrapped:
        assert type(one.base) is type(one.lora_A) is type(one.lora_B)
        assert (len(one.lora_A.weight), one.lora_B.weight.shape[1]) == (4, 4)
