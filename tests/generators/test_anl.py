"""ANL: which weights are tuned, and that they alone carry what was learnt."""

import copy

import pytest
import torch

from generators import anl, ldm


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
    with pytest.raises(ValueError, match="choose anl, all or scratch"):
        anl.trained_names(tiny_model.unet, "lora")
