"""Unconditional diffusers pipelines as our model: unchanged before they are tuned, and nothing taken on trust."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel, VQModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from generators import anl, conditioning, ldm, model_folder, pipeline_networks, unconditional_pipeline
from generators.anl_ddpm import ConditionalUNet
from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_latent_diffusion
from generators.checkpoints import describe, open_checkpoint, schedule_of, weights_hash
from generators.conditioning import ClipEncoder
from generators.seeded_noise import seeded_noise
from generators.settings import GeneratorSettings, SamplingSettings
from tests.conftest import TINY_CLIP
from tests.generators.pipelines import LATENTS, PIXELS, UNET_WEIGHTS, rewrite, write_head, write_unconditional

VQVAE_WEIGHTS = "vqvae/diffusion_pytorch_model.safetensors"
FLAT_WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(autouse=True)
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny CLIP in the place of the paper's, and its file."""
    monkeypatch.setattr(unconditional_pipeline, "clip_config", lambda name: TINY_CLIP)
    torch.manual_seed(5)
    save_file(ClipEncoder(TINY_CLIP, None).model.state_dict(), tmp_path / "open_clip_model.safetensors")
    return tmp_path / "open_clip_model.safetensors"


@pytest.fixture(params=[PIXELS, LATENTS])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write_unconditional(tmp_path / "pipeline", request.param)


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    return write_unconditional(tmp_path / "pixels")


@pytest.fixture
def no_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(*_: object) -> None:
        pytest.fail("weights were read")

    for module in (pipeline_networks, conditioning):
        monkeypatch.setattr(module, "read_weights", reads)


def pictures(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def tuned(model: ldm.LatentDiffusion, approach: str = "anl") -> dict[str, Tensor]:
    """Moves what the approach trains, as a tuning does, and returns it."""
    names = anl.trained_names(model.unet, approach)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in anl.set_trainable(model.unet, names):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return anl.adapter_state(model.unet, names)


# ----------------------------------------------------------------------------------------------------------------------
# before it is tuned it draws what it drew


def slow_draw(folder: Path, latents: Tensor, steps: int) -> Tensor:
    """`LDMPipeline.__call__`, or `DDPMPipeline`'s with DDIM in the place of its solver."""
    unet = UNet2DModel.from_pretrained(folder / "unet", use_safetensors=True).eval()
    scheduler = DDIMScheduler.from_pretrained(
        folder / "scheduler", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    scheduler.set_timesteps(steps)
    latents = latents * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        noise_prediction = unet(scheduler.scale_model_input(latents, t), t).sample
        latents = scheduler.step(noise_prediction, t, latents).prev_sample
    if not (folder / "vqvae").is_dir():
        return latents.clamp(-1, 1)
    kind = json.loads((folder / "vqvae/config.json").read_text())["_class_name"]
    vqvae = {"VQModel": VQModel, "AutoencoderKL": AutoencoderKL}[kind].from_pretrained(folder / "vqvae").eval()
    return vqvae.decode(latents / vqvae.config.scaling_factor).sample.clamp(-1, 1)


@pytest.mark.parametrize("is_folded", [False, True])
@pytest.mark.parametrize("condition", ["image", "none"])
@pytest.mark.parametrize(
    ("kind", "vqvae", "channels"), [(PIXELS, VQModel, 3), (LATENTS, VQModel, 3), (LATENTS, AutoencoderKL, 4)]
)
@torch.no_grad()
def test_untuned_drawings_equal_those_of_diffusers(
    tmp_path: Path, clip: Path, kind: str, vqvae: type, channels: int, condition: str, is_folded: bool
) -> None:
    folder = write_unconditional(tmp_path / "pipeline", kind, vqvae=vqvae, in_channels=channels, out_channels=channels)
    model = open_checkpoint(folder, str(clip))
    if is_folded:
        anl.fold_single_token(model.unet)
    generator = ANLLatentDiffusion(model, SamplingSettings(mask_rate=0, steps=20, condition=condition), 16)
    seeds = [5, 6]
    drawn = generator(pictures(), [""] * 2, seeds)
    wanted = slow_draw(folder, seeded_noise(seeds, model.latent_shape), 20)
    assert drawn.std() > 0.1  # not all at the bounds, nor all grey
    assert (drawn - wanted).abs().max() < 1e-5


@torch.no_grad()
def test_every_prediction_is_the_pretrained_networks_own(folder: Path, clip: Path) -> None:
    model = open_checkpoint(folder, str(clip))
    unet = UNet2DModel.from_pretrained(folder / "unet").eval()
    z_t, t, c = torch.randn(2, *model.latent_shape), torch.tensor([3, 800]), torch.randn(2, 1, 16)
    assert torch.equal(model.predict(z_t, t, c), unet(z_t, t).sample)
    assert torch.equal(model.predict(z_t, t, model.null_tokens(2, 5)), unet(z_t, t).sample)


@torch.no_grad()
def test_pixels_are_their_own_latents(pixels: Path, clip: Path) -> None:
    model = open_checkpoint(pixels, str(clip))
    assert torch.equal(model.encode(pictures()), pictures())
    assert torch.equal(model.decode(pictures()), pictures())
    assert model.decode(3 * pictures()).abs().max() == 1
    assert model.shape_at(24) == (3, 24, 24)
    with pytest.raises(ValueError, match=r"generator\.image_size=17: this model takes multiples of 2"):
        model.shape_at(17)


@torch.no_grad()
def test_latents_are_scaled_as_the_autoencoder_says(tmp_path: Path, clip: Path) -> None:
    folder = write_unconditional(tmp_path / "pipeline", LATENTS)
    vqvae = VQModel.from_pretrained(folder / "vqvae").eval()
    latents = vqvae.encode(pictures()).latents
    for written, scale in (({"scaling_factor": 0.5}, 0.5), ({}, 1.0)):  # 1 where an old file does not name it
        config = json.loads((folder / "vqvae/config.json").read_text())
        del config["scaling_factor"]
        (folder / "vqvae/config.json").write_text(json.dumps({**config, **written}))
        model = open_checkpoint(folder, str(clip))
        assert torch.allclose(model.encode(pictures()), latents * scale, atol=1e-6)
        assert torch.allclose(model.decode(latents * scale), vqvae.decode(latents).sample.clamp(-1, 1), atol=1e-5)
        config["scaling_factor"] = 0.5


# ----------------------------------------------------------------------------------------------------------------------
# what is inserted


def test_inserted_modules_start_the_same_whatever_was_drawn_before(pixels: Path, clip: Path) -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = torch.rand(3)
        torch.manual_seed(seed)
        unet = UNet2DModel.from_pretrained(pixels / "unet")
        torch.manual_seed(seed)
        states.append(ConditionalUNet(unet, 16).state_dict())
        assert torch.equal(torch.rand(3), expected)  # and what is drawn after is as it would have been
    states.append(open_checkpoint(pixels, str(clip)).unet.state_dict())
    for other in states[1:]:
        assert all(torch.equal(other[name], tensor) for name, tensor in states[0].items())
    assert any(tensor.std() > 0 for name, tensor in states[0].items() if ".anl." in name)


def test_exactly_the_inserted_modules_train(pixels: Path, clip: Path) -> None:
    unet = open_checkpoint(pixels, str(clip)).unet
    pretrained = UNet2DModel.from_pretrained(pixels / "unet")
    sizes = {name: parameter.numel() for name, parameter in unet.named_parameters()}
    inserted, names = anl.anl_names(unet), anl.trained_names(unet, "anl")
    assert sum(sizes.values()) - sum(sizes[name] for name in inserted) == pretrained.num_parameters()
    assert set(inserted) - set(names) == {name for name in inserted if anl.is_dead_with_one_token(name)}
    places = {name.split(".anl.")[0] for name in names}
    assert len(places) == sum(type(module).__name__ == "ResnetBlock2D" for module in pretrained.modules()) == 8
    anl.set_trainable(unet, names)
    with torch.no_grad():  # zero at the start: behind it no weight would have a gradient
        for name in names:
            if ".proj_out." in name:
                unet.get_parameter(name).add_(0.1)
    out = unet(torch.randn(2, 3, 16, 16), torch.tensor([3, 800]), torch.randn(2, 1, 16)).sample
    out.square().mean().backward()
    moved = {name for name, parameter in unet.named_parameters() if parameter.grad is not None}
    assert moved == set(names)
    assert all(unet.get_parameter(name).grad.abs().max() > 0 for name in names)
    for approach in ("all", "scratch"):
        everything = set(anl.trained_names(unet, approach))
        assert everything == {name for name in sizes if not anl.is_dead_with_one_token(name)}


def test_gradients_are_the_same_with_checkpointing(folder: Path, clip: Path) -> None:
    gradients = []
    for is_checkpointed in (False, True):
        model = open_checkpoint(folder, str(clip))
        tuned(model)
        if is_checkpointed:
            model.unet.enable_gradient_checkpointing()
        model.unet.train()
        generator = torch.Generator().manual_seed(3)
        z_t, c = (torch.randn(2, *shape, generator=generator) for shape in (model.latent_shape, (1, 16)))
        model.predict(z_t, torch.tensor([3, 800]), c).square().mean().backward()
        gradients.append({n: p.grad for n, p in model.unet.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[1][name], gradient) for name, gradient in gradients[0].items())


@torch.no_grad()
def test_folding_is_exact_and_takes_one_token_only(pixels: Path, clip: Path) -> None:
    model = open_checkpoint(pixels, str(clip))
    tuned(model)
    inputs, c = (torch.randn(2, 3, 16, 16), torch.tensor(10)), torch.randn(2, 1, 16)
    expected = model.predict(*inputs, c)
    anl.fold_single_token(model.unet)
    assert torch.allclose(model.predict(*inputs, c), expected, atol=1e-5)
    with pytest.raises(ValueError, match="exactly one condition token"):
        model.predict(*inputs, torch.randn(2, 3, 16))
    anl.unfold(model.unet)
    assert torch.equal(model.predict(*inputs, c), expected)


@pytest.mark.parametrize("approach", ["anl", "all", "anl_unconditional"])
@torch.no_grad()
def test_the_adapter_alone_reproduces_the_tuned_model(folder: Path, clip: Path, approach: str) -> None:
    model = open_checkpoint(folder, str(clip))
    settings = SamplingSettings(mask_rate=0, steps=4)
    before = ANLLatentDiffusion(model, settings, 16)(pictures(), [""] * 2, [1, 2])
    is_unconditional = approach == "anl_unconditional"
    if is_unconditional:
        anl.make_unconditional(model.unet)
        model.is_unconditional = True
        assert torch.equal(ANLLatentDiffusion(model, settings, 16)(pictures(), [""] * 2, [1, 2]), before)
    adapter = anl.Adapter(tuned(model, approach), is_unconditional, 3.0)
    assert all((".anl." in name) or approach == "all" for name in adapter.weights)
    expected = ANLLatentDiffusion(model, settings, 16)(pictures(), [""] * 2, [1, 2])
    assert (expected - before).abs().max() > 0.01
    asked = GeneratorSettings("ldm", str(folder), fold=False, clip_checkpoint=str(clip))
    opened = build_latent_diffusion(asked, settings, adapter, lambda module: module)
    assert torch.equal(opened(pictures(), [""] * 2, [1, 2]), expected)
    others = opened(-pictures(), [""] * 2, [1, 2])
    assert torch.equal(others, expected) == is_unconditional  # the condition tells what is drawn


@torch.no_grad()
def test_a_prompt_is_clips_text_embedding(pixels: Path, clip: Path) -> None:
    adapter = anl.Adapter(tuned(open_checkpoint(pixels, str(clip))), clip_image_norm=3.0)
    asked = GeneratorSettings("ldm", str(pixels), clip_checkpoint=str(clip))
    drawn = [
        build_latent_diffusion(asked, SamplingSettings(steps=4, prompt=prompt), adapter, lambda module: module)(
            pictures(), [""] * 2, [1, 2]
        )
        for prompt in ("a red car", "a truck")
    ]
    assert (drawn[0] - drawn[1]).abs().max() > 1e-4


@torch.no_grad()
def test_from_scratch_the_output_starts_at_zero(folder: Path, clip: Path) -> None:
    model = open_checkpoint(folder, str(clip))
    ldm.zero_initialize(model.unet)
    assert model.predict(torch.randn(1, *model.latent_shape), torch.tensor(7), torch.randn(1, 1, 16)).abs().max() == 0
    assert all(
        not module.to_out[0].weight.any()
        for name, module in model.unet.named_modules()
        if name.endswith("attentions.0")
    )


@torch.no_grad()
def test_residual_blocks_that_scale_get_anl_too(tmp_path: Path, clip: Path) -> None:
    folder = write_unconditional(tmp_path / "pipeline", downsample_type="resnet", upsample_type="resnet")
    model = open_checkpoint(folder, str(clip))
    z_t, t = torch.randn(2, 3, 16, 16), torch.tensor([3, 800])
    wanted = UNet2DModel.from_pretrained(folder / "unet").eval()(z_t, t).sample
    assert torch.equal(model.predict(z_t, t, torch.randn(2, 1, 16)), wanted)
    places = {name.split(".anl.")[0] for name in anl.anl_names(model.unet)}
    assert sum("samplers" in place for place in places) == 1


def test_our_own_folder_does_not_hold_such_a_model(pixels: Path, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kept as its pipeline's folder and an adapter"):
        model_folder.save(open_checkpoint(pixels, str(clip)), tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


# ----------------------------------------------------------------------------------------------------------------------
# what a folder says


def test_facts_are_the_folders_own(tmp_path: Path, no_weights_are_read: None) -> None:
    pixels, latents = (write_unconditional(tmp_path / kind, kind) for kind in (PIXELS, LATENTS))
    linear = {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
    assert schedule_of(pixels) == linear
    assert schedule_of(latents) == {
        **linear,
        "beta_start": 0.0015,
        "beta_end": 0.0195,
        "beta_schedule": "scaled_linear",
    }
    facts = [unconditional_pipeline.read_pipeline(folder).facts for folder in (pixels, latents)]
    assert [(one.image_size, one.latent_scale, one.clip_name) for one in facts] == [
        (16, 1.0, "ViT-B-32-quickgelu"), (16, 0.5, "ViT-B-32-quickgelu"),
    ]  # fmt: skip
    rewrite(pixels / "scheduler/scheduler_config.json", {"prediction_type": "v_prediction"})
    assert describe(pixels).schedule == {**linear, "prediction_type": "v_prediction"}


def outputs(folder: Path, clip: Path) -> list[Tensor]:
    model = open_checkpoint(folder, str(clip))
    tuned(model)
    with torch.no_grad():
        latents = model.encode(pictures())
        return [latents, model.predict(latents, torch.tensor(7), torch.ones(2, 1, 16)), model.decode(latents)]


@pytest.mark.parametrize("layout", ["all in one folder", "old names of attention", "a variant in half precision"])
def test_every_layout_of_the_same_weights_gives_the_same_outputs(tmp_path: Path, clip: Path, layout: str) -> None:
    kind = PIXELS if layout == "all in one folder" else LATENTS
    folder = write_unconditional(tmp_path / "pipeline", kind)
    files = [folder / name for name in (UNET_WEIGHTS, VQVAE_WEIGHTS) if (folder / name).is_file()]
    for file in files:
        rewrite(file, lambda tensors: {name: one.half().float() for name, one in tensors.items()})
    expected = outputs(folder, clip)
    if layout == "all in one folder":
        for file in [*(folder / "unet").iterdir(), *(folder / "scheduler").iterdir()]:
            file.rename(folder / file.name)
        (folder / "unet").rmdir()
        (folder / "scheduler").rmdir()
    elif layout == "old names of attention":
        new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        pattern = re.compile(r"(attentions\.\d\.)(to_q|to_k|to_v|to_out\.0)\.")
        for file in files:
            rewrite(file, lambda tensors: {
                pattern.sub(lambda found: f"{found[1]}{new[found[2]]}.", name): one for name, one in tensors.items()
            })  # fmt: skip
            assert any(".proj_attn." in name for name in load_file(file))
    else:
        for file in files:
            tensors = load_file(file)
            file.unlink()
            halves = {name: one.half() for name, one in tensors.items()}
            save_file(halves, file.with_suffix(".fp16.safetensors"))
    for one, other in zip(outputs(folder, clip), expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("is_flat", [False, True])
def test_the_hash_is_of_all_that_is_loaded(tmp_path: Path, clip: Path, is_flat: bool) -> None:
    folder = write_unconditional(tmp_path / "pipeline", PIXELS if is_flat else LATENTS, is_flat)
    named = describe(folder).files
    assert set(named) == {path for path in folder.rglob("*") if path.is_file()}
    (folder / "README.md").write_text("no part of the model")
    before = {weights_hash(folder, str(clip))}
    for path in named:
        if path.suffix == ".json":
            path.write_text(path.read_text() + "\n")
        else:
            rewrite(path, lambda tensors: {key: tensor + 1 for key, tensor in tensors.items()})
        found = weights_hash(folder, str(clip))
        assert found not in before
        before.add(found)
    rewrite(clip, lambda tensors: {name: tensor + 1 for name, tensor in tensors.items()})
    assert weights_hash(folder, str(clip)) not in before


# ----------------------------------------------------------------------------------------------------------------------
# the sizes of published models: shapes on the meta device, without memory

DDPM_256 = {  # google/ddpm-celebahq-256
    "sample_size": 256, "block_out_channels": (128, 128, 256, 256, 512, 512), "attention_head_dim": None,
    "down_block_types": (*("DownBlock2D",) * 4, "AttnDownBlock2D", "DownBlock2D"), "norm_eps": 1e-6,
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *("UpBlock2D",) * 4), "downsample_padding": 0,
    "flip_sin_to_cos": False, "freq_shift": 1,
}  # fmt: skip
LDM_256 = {  # CompVis/ldm-celebahq-256
    "sample_size": 64, "block_out_channels": (224, 448, 672, 896), "attention_head_dim": 32,
    "down_block_types": ("DownBlock2D", *("AttnDownBlock2D",) * 3),
    "up_block_types": (*("AttnUpBlock2D",) * 3, "UpBlock2D"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "counts"),
    [(DDPM_256, (113.67, 89.73, 80.64)), (LDM_256, (274.06, 196.22, 180.41))],
    ids=["ddpm", "ldm"],
)
def test_the_counts_at_full_size(settings: dict, counts: tuple[float, float, float]) -> None:
    with torch.device("meta"):
        pretrained = UNet2DModel(**settings)
        before = pretrained.num_parameters()
        unet = ConditionalUNet(pretrained, 512)
    sizes = {name: parameter.numel() for name, parameter in unet.named_parameters()}
    inserted, live = anl.anl_names(unet), anl.trained_names(unet, "anl")
    assert sum(sizes.values()) == before + sum(sizes[name] for name in inserted)
    found = [before / 1e6, *(sum(sizes[name] for name in names) / 1e6 for names in (inserted, live))]
    assert found == [pytest.approx(count, abs=0.005) for count in counts]


@pytest.mark.parametrize("is_flat", [False, True])
def test_a_folder_of_full_size_is_described_from_the_heads_of_its_files(tmp_path: Path, is_flat: bool) -> None:
    folder = write_unconditional(tmp_path / "pipeline", is_flat=is_flat)
    with torch.device("meta"):
        unet = UNet2DModel(**DDPM_256)
    place = folder if is_flat else folder / "unet"
    unet.save_config(place)
    write_head(place / FLAT_WEIGHTS, {key: tuple(tensor.shape) for key, tensor in unet.state_dict().items()})
    assert unconditional_pipeline.read_pipeline(folder).facts.image_size == 256
    assert sum(path.stat().st_size for path in describe(folder).files) > 2e8


# ----------------------------------------------------------------------------------------------------------------------
# refusals: one line each, before any weights are read


def refused(path: Path, clip_checkpoint: Path | str | None = None) -> str:
    """What opening it and hashing it say, which is the same."""
    said = set()
    for ask in (open_checkpoint, weights_hash):
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            ask(path, None if clip_checkpoint is None else str(clip_checkpoint))
        said.add(str(error.value))
    (line,) = said
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", ["unet/config.json", "vqvae/config.json", "scheduler/scheduler_config.json",
                                  UNET_WEIGHTS, VQVAE_WEIGHTS])  # fmt: skip
def test_a_folder_that_is_not_whole(tmp_path: Path, name: str, no_weights_are_read: None) -> None:
    folder = write_unconditional(tmp_path / "pipeline", LATENTS)
    (folder / name).unlink()
    assert refused(folder) == f"generator.checkpoint={folder}: {name} missing; the folder is not whole, fetch the rest"


@pytest.mark.parametrize("name", ["config.json", "scheduler_config.json", FLAT_WEIGHTS])
def test_a_folder_of_one_network_that_is_not_whole(tmp_path: Path, name: str, no_weights_are_read: None) -> None:
    folder = write_unconditional(tmp_path / "pipeline", is_flat=True)
    (folder / name).unlink()
    assert refused(folder) == f"generator.checkpoint={folder}: {name} missing; the folder is not whole, fetch the rest"


def test_an_index_alone_names_the_folders_of_today(tmp_path: Path, no_weights_are_read: None) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": PIXELS}))
    assert "unet/config.json, scheduler/scheduler_config.json missing" in refused(tmp_path)


@pytest.mark.parametrize("name", [UNET_WEIGHTS, VQVAE_WEIGHTS])
def test_weights_that_are_not_all_there(tmp_path: Path, name: str, no_weights_are_read: None) -> None:
    folder = write_unconditional(tmp_path / "pipeline", LATENTS)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-100])
    assert f"{folder / name} is damaged or not all there" in refused(folder)


@pytest.mark.parametrize(
    ("is_flat", "said"),
    [(False, "unet holds its weights as a pickle (diffusion_pytorch_model.bin)"),
     (True, "it holds its weights as a pickle (diffusion_pytorch_model.bin)")],
)  # fmt: skip
def test_a_pickle_alone_is_not_opened(tmp_path: Path, is_flat: bool, said: str, no_weights_are_read: None) -> None:
    folder = write_unconditional(tmp_path / "pipeline", is_flat=is_flat)
    path = folder / (FLAT_WEIGHTS if is_flat else UNET_WEIGHTS)
    path.rename(path.with_suffix(".bin"))
    line = refused(folder)
    assert said in line
    assert f"fetch {path.relative_to(folder)}, or save the pipeline with safe_serialization=True" in line


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
@pytest.mark.parametrize("name", [UNET_WEIGHTS, VQVAE_WEIGHTS])
def test_weights_that_do_not_fit(tmp_path: Path, name: str, change: str, no_weights_are_read: None) -> None:
    folder = write_unconditional(tmp_path / "pipeline", LATENTS)

    def changed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        bias = next(key for key in tensors if key.endswith("conv_in.bias"))
        if change == "missing":
            return {key: tensor for key, tensor in tensors.items() if key != bias}
        return {**tensors, (f"{bias}.extra" if change == "unknown" else bias): torch.ones(5)}

    rewrite(folder / name, changed)
    assert re.search(rf"{(folder / name).parent} does not fit its config\.json: 1 {change} \(", refused(folder))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("unet/config.json", {"class_embed_type": "timestep"}, "class_embed_type=timestep, a model with class"),
        ("unet/config.json", {"num_class_embeds": 10}, "num_class_embeds=10, a model with class embeddings"),
        ("unet/config.json", {"out_channels": 6}, "6 channels out: a model with learned variances is not read here"),
        ("unet/config.json", {"in_channels": 4}, "4 channels in and 3 out, latents have 3"),
        ("unet/config.json", {"in_channels": 1, "out_channels": 1}, "1 channels in and 1 out, latents have 3"),
        ("unet/config.json", {"sample_size": [8, 8]}, "sample_size=[8, 8], one number is wanted"),
        ("unet/config.json", {"sample_size": None}, "sample_size=None, one number is wanted"),
        ("unet/config.json", {"time_embedding_type": "fourier"}, "time_embedding_type=fourier, positional is wanted"),
        ("unet/config.json", {"center_input_sample": True}, "center_input_sample=True, False is wanted"),
        ("unet/config.json", {"down_block_types": ["DownBlock2D", "AttnSkipDownBlock2D"]}, "AttnSkipDownBlock2D is no"),
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "UNet2DConditionModel, this reads UNet2DModel"),
        ("unet/config.json", {"surprise": 1}, "makes no UNet2DModel"),
        ("vqvae/config.json", {"_class_name": "AutoencoderTiny"}, "this reads VQModel or AutoencoderKL"),
        ("vqvae/config.json", {"latent_channels": 4}, "3 channels in and 3 out, latents have 4"),
        ("vqvae/config.json", {"vq_embed_dim": 8}, "3 channels in and 3 out, latents have 8"),
        ("vqvae/config.json", {"in_channels": 12}, "in_channels=12, images have 3"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "prediction_type='sample', known are"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "sigmoid"}, "beta_schedule='sigmoid', known are"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1]}, "trained_betas is set, which is not known here"),
    ],
)  # fmt: skip
def test_networks_of_another_kind(
    tmp_path: Path, file: str, change: dict, said: str, no_weights_are_read: None
) -> None:
    folder = write_unconditional(tmp_path / "pipeline", LATENTS)
    rewrite(folder / file, change)
    line = refused(folder)
    assert said in line
    assert str(folder) in line


def test_pixels_are_colors(pixels: Path, no_weights_are_read: None) -> None:
    rewrite(pixels / "unet/config.json", {"in_channels": 1, "out_channels": 1})
    assert "1 channels in and 1 out, images have 3" in refused(pixels)


def test_the_papers_clip_is_wanted(pixels: Path, tmp_path: Path, no_weights_are_read: None) -> None:
    address = "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/main/open_clip_model.safetensors"
    assert f"download {address} and give generator.clip_checkpoint=" in refused(pixels)
    save_file({"positional_embedding": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors does not hold ViT-B-32-quickgelu"):
        weights_hash(pixels, str(tmp_path / "other.safetensors"))
