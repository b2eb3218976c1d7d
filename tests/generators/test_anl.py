"""ANL: which weights are tuned, and that they alone carry what was learnt."""

import copy

import pytest
import torch
from diffusers import UNet2DModel

from generators import anl, ldm
from generators.anl_ddpm import ConditionalUNet


def test_anl_is_exactly_the_spatial_transformers(tiny_model: ldm.LatentDiffusion) -> None:
    unet = tiny_model.unet
    modules = [module for module in unet.modules() if type(module).__name__ == "Transformer2DModel"]
    inside = {id(parameter) for module in modules for parameter in module.parameters()}
    assert len(modules) == 4  # one down, one middle, two up
    assert {id(dict(unet.named_parameters())[name]) for name in anl.anl_names(unet)} == inside


def test_dead_weights_get_no_gradient_and_all_others_do(tiny_model: ldm.LatentDiffusion) -> None:
    unet = copy.deepcopy(tiny_model.unet)
    anl.set_trainable(unet, anl.anl_names(unet))
    out = unet(torch.randn(2, 4, 4, 4), torch.tensor([3, 700]), encoder_hidden_states=torch.randn(2, 1, 16)).sample
    out.square().sum().backward()
    largest = {name: p.grad.abs().max().item() for name, p in unet.named_parameters() if p.grad is not None}
    dead = {name for name, gradient in largest.items() if gradient < 1e-6 * max(largest.values())}
    assert dead == {name for name in largest if anl.is_dead_with_one_token(name)}
    assert set(anl.trained_names(unet, "anl")) == largest.keys() - dead


def test_everything_else_is_frozen(tiny_model: ldm.LatentDiffusion) -> None:
    unet = copy.deepcopy(tiny_model.unet)
    names = anl.trained_names(unet, "anl")
    parameters = anl.set_trainable(unet, names)
    assert len(parameters) == len(names)
    assert {name for name, parameter in unet.named_parameters() if parameter.requires_grad} == set(names)


@pytest.mark.parametrize("approach", ["all", "scratch"])
def test_other_approaches_train_the_whole_unet(tiny_model: ldm.LatentDiffusion, approach: str) -> None:
    names = set(anl.trained_names(tiny_model.unet, approach))
    frozen = {name for name, _ in tiny_model.unet.named_parameters()} - names
    assert all(anl.is_dead_with_one_token(name) for name in frozen)


def test_the_adapter_alone_reproduces_the_tuned_model(tiny_model: ldm.LatentDiffusion) -> None:
    tuned, fresh = copy.deepcopy(tiny_model.unet), copy.deepcopy(tiny_model.unet)
    names = anl.trained_names(tuned, "anl")
    with torch.no_grad():
        for parameter in anl.set_trainable(tuned, names):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    inputs = (torch.randn(1, 4, 4, 4), torch.tensor(10))
    token = torch.randn(1, 1, 16)
    expected = tuned(*inputs, encoder_hidden_states=token).sample
    assert not torch.allclose(fresh(*inputs, encoder_hidden_states=token).sample, expected)
    anl.load_adapter(fresh, anl.adapter_state(tuned, names))
    assert torch.equal(fresh(*inputs, encoder_hidden_states=token).sample, expected)


def test_an_adapter_of_another_model_is_refused(tiny_model: ldm.LatentDiffusion) -> None:
    with pytest.raises(ValueError, match="another model"):
        anl.load_adapter(copy.deepcopy(tiny_model.unet), {"mid_block.attentions.9.norm.weight": torch.ones(3)})


def test_an_unknown_approach_names_the_known_ones(tiny_model: ldm.LatentDiffusion) -> None:
    with pytest.raises(ValueError, match="choose anl, anl_unconditional, all or scratch"):
        anl.trained_names(tiny_model.unet, "lora")


def test_without_a_condition_the_network_first_does_what_it_did_without_its_cross_attention(
    tiny_model: ldm.LatentDiffusion,
) -> None:
    plain, unconditional = copy.deepcopy(tiny_model.unet), copy.deepcopy(tiny_model.unet)
    for name, module in plain.named_modules():
        if name.endswith(".attn2"):
            torch.nn.init.zeros_(module.to_out[0].weight)
            torch.nn.init.zeros_(module.to_out[0].bias)
    anl.make_unconditional(unconditional)
    inputs = (torch.randn(2, 4, 4, 4), torch.tensor(10))
    expected = plain(*inputs, encoder_hidden_states=torch.randn(2, 1, 16)).sample
    assert torch.allclose(unconditional(*inputs, encoder_hidden_states=None).sample, expected, atol=1e-6)
    names = anl.trained_names(unconditional, "anl_unconditional")
    assert set(names) == set(anl.anl_names(unconditional))
    fresh = copy.deepcopy(tiny_model.unet)
    anl.make_unconditional(fresh)
    with torch.no_grad():
        for parameter in anl.set_trainable(unconditional, names):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    anl.load_adapter(fresh, anl.adapter_state(unconditional, names))
    tuned = unconditional(*inputs, encoder_hidden_states=None).sample
    assert torch.equal(fresh(*inputs, encoder_hidden_states=None).sample, tuned)
    assert not torch.allclose(tuned, expected, atol=1e-3)


def test_folded_cross_attention_takes_one_token_only(tiny_model: ldm.LatentDiffusion) -> None:
    unet = copy.deepcopy(tiny_model.unet)
    inputs, token = (torch.randn(2, 4, 4, 4), torch.tensor(10)), torch.randn(2, 1, 16)
    expected = unet(*inputs, token).sample
    anl.fold_single_token(unet)
    assert torch.allclose(unet(*inputs, token).sample, expected, atol=1e-5)
    with pytest.raises(ValueError, match="exactly one condition token"):
        unet(*inputs, torch.randn(2, 3, 16))
    anl.unfold(unet)
    assert torch.equal(unet(*inputs, token).sample, expected)


def test_with_several_tokens_no_weight_is_dead(tiny_model: ldm.LatentDiffusion) -> None:
    assert set(anl.trained_names(tiny_model.unet, "anl", num_tokens=5)) == set(anl.anl_names(tiny_model.unet))


def test_anl_in_a_plain_ddpm_changes_nothing_until_it_is_tuned() -> None:
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, attention_head_dim=8,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    x, t, c = torch.randn(2, 3, 16, 16), torch.tensor([3, 800]), torch.randn(2, 1, 12)
    before = unet(x, t).sample
    num_residuals = sum(type(module).__name__ == "ResnetBlock2D" for module in unet.modules())
    model = ConditionalUNet(unet, token_width=12)
    assert torch.allclose(model(x, t, c).sample, before, atol=1e-5)
    names = anl.trained_names(model, "anl")
    assert len({name.split(".anl.")[0] for name in names}) == num_residuals
    parameters = anl.set_trainable(model, names)
    optimizer = torch.optim.SGD(parameters, 0.1)
    for _ in range(2):  # the first step moves the last projections alone
        optimizer.zero_grad()
        model(x, t, c).sample.square().mean().backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in parameters)
    after = model(x, t, c).sample
    assert not torch.allclose(after, before, atol=1e-4)
    assert not torch.allclose(after, model(x, t, torch.randn(2, 1, 12)).sample, atol=1e-6)
