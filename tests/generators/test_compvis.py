"""The published checkpoint's layout, at full size with random weights, against a slow copy of its own forward pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from generators import anl, compvis, ldm
from generators.losses import noise_prediction_loss
from generators.model_facts import SCHEDULE
from generators.sampling import alphas_cumprod, sample
from tests.generators import compvis_reference as reference


def random_checkpoint() -> dict[str, Tensor]:
    """Every tensor of the published file by its name there, random, of a size that keeps activations near 1."""
    with torch.device("meta"):
        unet, autoencoder = compvis.UNet2DConditionModel(**compvis.UNET), compvis.VQModel(**compvis.AUTOENCODER)
    unet_names = {name: compvis.UNET_PREFIX + compvis.unet_name(name) for name in unet.state_dict()}
    vq_names = {name: compvis.AUTOENCODER_PREFIX + compvis.autoencoder_name(name) for name in autoencoder.state_dict()}
    shapes = dict(compvis._expected(unet, unet_names)) | dict(compvis._expected(autoencoder, vq_names))
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            fan_in = int(torch.tensor(shape[1:]).prod())
            bound = (3 / fan_in) ** 0.5
            state[name] = torch.empty(shape).uniform_(-bound, bound, generator=generator)
        else:
            state[name] = torch.empty(shape).uniform_(-0.2, 0.2, generator=generator) + float("norm" in name)
    for name, tensor in state.items():  # a quiet residual stream: else the norms' epsilon would not show
        if any(part in name for part in ("input_blocks.0.0.", ".out_layers.3.", ".proj_out.", ".skip_connection.")):
            tensor.mul_(0.1)
    state[compvis.CLASS_EMBEDDING] = torch.randn(1001, 512, generator=generator)
    state["betas"] = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2
    return state


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return random_checkpoint()


@pytest.fixture(scope="module")
def parts(published: dict[str, Tensor]) -> tuple[ldm.UNet2DConditionModel, ldm.VQModel]:
    unet, autoencoder, null_token, scale = compvis.parts_of(published, "random.ckpt")
    assert torch.equal(null_token[0], published[compvis.CLASS_EMBEDDING][1000])
    assert scale == 1.0
    return unet.eval(), autoencoder.eval()


def largest(difference: Tensor) -> float:
    return float(difference.abs().max())


def test_the_counts_of_the_paper(published: dict[str, Tensor], parts: tuple, capsys: pytest.CaptureFixture) -> None:
    unet = parts[0]
    sizes = {name: parameter.numel() for name, parameter in unet.named_parameters()}
    anl_count = sum(sizes[name] for name in anl.anl_names(unet))
    live = sum(sizes[name] for name in anl.trained_names(unet, "anl"))
    modules = sum(type(module).__name__ == "Transformer2DModel" for module in unet.modules())
    with capsys.disabled():
        print(f"\nUNet {sum(sizes.values()) / 1e6:.2f} M, ANL {anl_count / 1e6:.2f} M in {modules} modules, ", end="")
        print(f"live with one token {live / 1e6:.2f} M")
    assert (sum(sizes.values()), anl_count, modules) == (400_920_579, 169_550_400, 16)
    assert live == pytest.approx(156.20e6, abs=5e3)
    assert sum(name.startswith(compvis.UNET_PREFIX) for name in published) == 688
    assert sum(name.startswith(compvis.AUTOENCODER_PREFIX) for name in published) == 205


@pytest.mark.parametrize(("t", "tokens"), [(1, 1), (996, 1), (500, 7)])
def test_the_unet_is_the_published_one(published: dict[str, Tensor], parts: tuple, t: int, tokens: int) -> None:
    torch.manual_seed(t)
    x, c, time = torch.randn(1, 3, 16, 16), torch.randn(1, tokens, 512), torch.tensor([t])
    with torch.no_grad():
        expected = reference.unet(published, x, time, c)
        assert expected.std() > 0.1
        # 1e-5 and not 1e-4: a wrong epsilon of the norms moves no more than 2.4e-5
        assert largest(parts[0](x, time, c).sample - expected) < 1e-5


@pytest.mark.parametrize(
    ("option", "value"),
    [("attention_head_dim", 8), ("flip_sin_to_cos", False), ("freq_shift", 1), ("norm_eps", 1e-6)],
)
def test_a_wrong_option_of_the_unet_would_be_caught(parts: tuple, option: str, value: object) -> None:
    torch.manual_seed(0)
    x, c, time = torch.randn(1, 3, 16, 16), torch.randn(1, 1, 512), torch.tensor([700])
    with torch.device("meta"):
        wrong = compvis.UNet2DConditionModel(**{**compvis.UNET, option: value})
    wrong.load_state_dict(parts[0].state_dict(), assign=True)
    tokens = c if option != "attention_head_dim" else torch.randn(1, 3, 512)
    with torch.no_grad():
        difference = wrong.eval()(x, time, tokens).sample - parts[0](x, time, tokens).sample
    assert largest(difference) > 1e-5


def test_the_autoencoder_is_the_published_one(published: dict[str, Tensor], parts: tuple) -> None:
    torch.manual_seed(1)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    exact = {name: tensor.double() for name, tensor in published.items() if name.startswith("first_stage_model.")}
    with torch.no_grad():
        latents = parts[1].encode(images).latents
        assert largest(latents - reference.encode(exact, images.double())) < 1e-5
        quantized, codes = reference.quantize(published, latents)
        ours, _, (_, _, our_codes) = parts[1].quantize(latents)
        assert torch.equal(our_codes.flatten(), codes)
        assert largest(ours - quantized) < 1e-6
        assert len(codes.unique()) > 20
        assert largest(parts[1].decode(latents).sample - reference.decode(exact, latents.double())) < 1e-5


def analytic_eps(x: Tensor, t: Tensor | int) -> Tensor:
    """The exact noise predictor of N(0.5, 0.3^2), in the precision of x."""
    bar = alphas_cumprod(SCHEDULE).double()[int(t)]
    eps = (1 - bar).sqrt() * (x.double() - bar.sqrt() * 0.5) / (bar * 0.09 + 1 - bar)
    return eps.to(x.dtype)


def test_two_hundred_ddim_steps_are_the_published_samplers() -> None:
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours = sample(analytic_eps, noise, "ddim", 200, SCHEDULE)
    assert largest(ours - reference.ddim(analytic_eps, noise, 200).float()) < 1e-5


@pytest.mark.parametrize(
    "wrong",
    [{"set_alpha_to_one": True}, {"steps_offset": 0}, {"timestep_spacing": "trailing"}, {"clip_sample": True}],
)
def test_a_wrong_option_of_the_sampler_would_be_caught(wrong: dict[str, object]) -> None:
    from diffusers import DDIMScheduler

    right = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"}
    noise = 3 * torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    solver = DDIMScheduler(**SCHEDULE, **{**right, **wrong})
    solver.set_timesteps(200)
    x = noise
    for t in solver.timesteps:
        x = solver.step(analytic_eps(x, t), t, x).prev_sample
    assert largest(x - reference.ddim(analytic_eps, noise, 200).float()) > 1e-5


def test_folded_cross_attention_is_the_same_function(parts: tuple) -> None:
    unet = parts[0]
    torch.manual_seed(2)
    x, c, t = torch.randn(1, 3, 16, 16), torch.randn(1, 1, 512), torch.tensor([300])
    names = anl.trained_names(unet, "anl")
    bars = alphas_cumprod(SCHEDULE)

    def gradients() -> tuple[Tensor, list[Tensor]]:
        parameters = anl.set_trainable(unet, names)
        loss = noise_prediction_loss(lambda z, time, c: unet(z, time, c).sample, x, c, torch.randn_like(x), t, bars)
        loss.backward()
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        unet.zero_grad(set_to_none=True)
        assert len(grads) == len(names)
        with torch.no_grad():
            return unet(x, t, c).sample, grads

    torch.manual_seed(3)
    plain, plain_gradients = gradients()
    anl.fold_single_token(unet)
    torch.manual_seed(3)
    folded, folded_gradients = gradients()
    anl.unfold(unet)
    assert largest(folded - plain) < 1e-5
    for one, other in zip(plain_gradients, folded_gradients, strict=True):
        assert largest(one - other) <= 1e-5 * max(1.0, float(one.abs().max()))


# ---------------------------------------------------------------------------------------------------------------------
# files


def test_missing_unknown_and_misshaped_tensors_are_named(published: dict[str, Tensor]) -> None:
    prefix = compvis.UNET_PREFIX
    broken = {**published, f"{prefix}extra.weight": torch.ones(2), f"{prefix}out.0.bias": torch.ones(5)}
    del broken["first_stage_model.quant_conv.bias"]
    with pytest.raises(ValueError, match="not the published cin256-v2") as error:
        compvis.parts_of(broken, "broken.ckpt")
    said = str(error.value)
    assert "1 missing (first_stage_model.quant_conv.bias)" in said
    assert f"1 unknown ({prefix}extra.weight)" in said
    assert f"{prefix}out.0.bias [5] for [192]" in said


def test_the_look_alike_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"VQ-f8.*not cin256-v2"):
        compvis.parts_of({f"{compvis.UNET_PREFIX}time_embed.0.weight": torch.zeros(1024, 256)}, "cin.ckpt")


def test_averaged_weights_are_taken_where_they_are(published: dict[str, Tensor]) -> None:
    names = [name for name in published if name.startswith(compvis.UNET_PREFIX)]
    short = {name: name.removeprefix(compvis.UNET_PREFIX) for name in names}
    averaged = {compvis.ema_name(name): published[full] for full, name in short.items()}
    marked = short[names[0]]
    averaged[compvis.ema_name(marked)] = published[names[0]] + 1
    extras = {"model_ema.decay": torch.tensor(0.99), "model_ema.num_updates": torch.tensor(3)}
    unet = compvis.parts_of({**published, **averaged, **extras}, "ema.ckpt")[0]
    ours = {compvis.unet_name(name): tensor for name, tensor in unet.state_dict().items()}
    assert torch.equal(ours[marked], published[names[0]] + 1)
    del averaged[compvis.ema_name(marked)]
    with pytest.raises(ValueError, match="1 missing"):
        compvis.parts_of({**published, **averaged, **extras}, "ema.ckpt")
