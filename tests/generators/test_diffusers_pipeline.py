"""Diffusers pipelines as our model: the same outputs as diffusers' own networks and solver, and nothing taken on trust.

diffusers' pipeline classes need transformers, which is no dependency: the loop of
StableDiffusionImageVariationPipeline is written out here, and the image encoder too.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from generators import anl, conditioning, diffusers_pipeline, pipeline_clip, pipeline_networks
from generators.anl_ldm import ANLLatentDiffusion
from generators.checkpoints import describe, open_checkpoint, schedule_of, weights_hash
from generators.conditioning import ClipEncoder
from generators.ldm import LatentDiffusion
from generators.model_folder import save
from generators.seeded_noise import seeded_noise
from generators.settings import SamplingSettings
from tests.generators.pipelines import (
    CLIP,
    ENCODER_WEIGHTS,
    TEXT,
    UNET_WEIGHTS,
    VAE_WEIGHTS,
    VISION,
    rewrite,
    vision_weights,
    write_clip,
    write_head,
    write_pipeline,
)  # fmt: skip

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3438167536\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pipeline(tmp_path / "pipeline")


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLIP of the tiny pipelines' width, and its file."""
    return write_clip(tmp_path / "open_clip_model.safetensors", monkeypatch)


@pytest.fixture
def no_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(*_: object) -> None:
        pytest.fail("weights were read")

    monkeypatch.setattr(pipeline_networks, "read_weights", reads)
    monkeypatch.setattr(conditioning, "read_weights", reads)


# ----------------------------------------------------------------------------------------------------------------------
# equal to diffusers


def slow_draw(
    folder: Path, latents: Tensor, tokens: Tensor, steps: int, guidance: float, null: Tensor | None = None
) -> Tensor:
    """`StableDiffusionImageVariationPipeline.__call__` from the image embeddings on, with DDIM.

    With the states of prompts, and `null` of empty ones, it is that of `StableDiffusionPipeline`.
    """
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True).eval()
    vae = AutoencoderKL.from_pretrained(folder / "vae", use_safetensors=True).eval()
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", clip_sample=False, set_alpha_to_one=False)
    scheduler.set_timesteps(steps)
    if guidance > 1:
        tokens = torch.cat([torch.zeros_like(tokens) if null is None else null, tokens])
    latents = latents * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        model_input = scheduler.scale_model_input(torch.cat([latents] * 2) if guidance > 1 else latents, t)
        noise_pred = unet(model_input, t, encoder_hidden_states=tokens).sample
        if guidance > 1:
            uncond, cond = noise_pred.chunk(2)
            noise_pred = uncond + guidance * (cond - uncond)
        latents = scheduler.step(noise_pred, t, latents).prev_sample
    return vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("is_folded", [False, True])
@torch.no_grad()
def test_drawings_equal_those_of_diffusers(tmp_path: Path, prediction: str, guidance: float, is_folded: bool) -> None:
    folder = write_pipeline(tmp_path / "pipeline", prediction=prediction)
    model = open_checkpoint(folder)
    if is_folded:
        anl.fold_single_token(model.unet)
    generator = ANLLatentDiffusion(model, SamplingSettings(mask_rate=0, steps=20, guidance=guidance), 16)
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    seeds = [5, 6, 7]
    drawn = generator(images, [""] * 3, seeds)
    wanted = slow_draw(folder, seeded_noise(seeds, (4, 8, 8)), model.clip.embed_images(images), 20, guidance)
    assert drawn.std() > 0.1  # not all at the bounds, nor all grey
    assert (drawn - wanted).abs().max() < 1e-5


@torch.no_grad()
def test_latents_are_those_of_diffusers_scaled_and_shifted(folder: Path) -> None:
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    latents = AutoencoderKL.from_pretrained(folder / "vae").encode(images).latent_dist.mode()
    assert torch.allclose(open_checkpoint(folder).encode(images), latents * 0.18215, atol=1e-6)
    rewrite(folder / "vae/config.json", {"scaling_factor": 0.5, "shift_factor": 0.25})
    model = open_checkpoint(folder)
    assert torch.allclose(model.encode(images), (latents - 0.25) * 0.5, atol=1e-6)
    plain = model.autoencoder.decode(latents).sample.clamp(-1, 1)
    assert torch.allclose(model.decode(model.encode(images)), plain, atol=1e-5)


def slow_image_embedding(weights: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """transformers' CLIPVisionModelWithProjection, image by image of a batch, head by head."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], VISION["layer_norm_eps"]
        )

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    patches = F.conv2d(pixels, weights["embeddings.patch_embedding.weight"], stride=VISION["patch_size"])
    first = weights["embeddings.class_embedding"].expand(len(pixels), 1, -1)
    x = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1) + weights["embeddings.position_embedding.weight"]
    x = norm(x, "pre_layrnorm")
    head = VISION["hidden_size"] // VISION["num_attention_heads"]
    for number in range(VISION["num_hidden_layers"]):
        layer = f"encoder.layers.{number}."
        y = norm(x, layer + "layer_norm1")
        q, k, v = (linear(y, f"{layer}self_attn.{part}_proj").split(head, dim=-1) for part in "qkv")
        heads = [(a @ b.transpose(1, 2) / head**0.5).softmax(-1) @ c for a, b, c in zip(q, k, v, strict=True)]
        x = x + linear(torch.cat(heads, dim=-1), f"{layer}self_attn.out_proj")
        y = linear(norm(x, layer + "layer_norm2"), f"{layer}mlp.fc1")
        y = y * torch.sigmoid(1.702 * y) if VISION["hidden_act"] == "quick_gelu" else F.gelu(y)
        x = x + linear(y, f"{layer}mlp.fc2")
    return norm(x[:, 0], "post_layernorm") @ weights["visual_projection.weight"].T


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("prefix", ["vision_model.", ""])
@torch.no_grad()
def test_the_image_encoder_is_the_pipelines_own(
    folder: Path, activation: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VISION, "hidden_act", activation)
    rewrite(folder / "image_encoder/config.json", VISION)
    numbers = {f"{prefix}embeddings.position_ids": torch.arange(5)[None]}
    rewrite(folder / ENCODER_WEIGHTS, lambda _: {**vision_weights(prefix), **numbers})
    encoder = open_checkpoint(folder).clip
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    wanted = slow_image_embedding(vision_weights(""), encoder.preprocess(images))
    assert (encoder.embed_images(images)[:, 0] - wanted).abs().max() < 1e-5
    with pytest.raises(ValueError, match="embeds images alone"):
        encoder.embed_texts(["a red car"])
    encoder.tokens = "patches"
    assert torch.allclose(encoder.embed_images(images)[:, 0], wanted, atol=1e-5)


def outputs(model: LatentDiffusion) -> list[Tensor]:
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        token, latents = model.clip.embed_images(images), model.encode(images)
        return [token, latents, model.unet(latents, torch.tensor(7), token).sample, model.decode(latents)]


@pytest.mark.parametrize("layout", ["old names of attention", "shards", "a variant in half precision", "our folder"])
def test_every_layout_of_the_same_weights_gives_the_same_outputs(folder: Path, layout: str) -> None:
    rewrite(folder / UNET_WEIGHTS, lambda tensors: {name: one.half().float() for name, one in tensors.items()})
    model = open_checkpoint(folder)
    path = folder
    if layout == "old names of attention":
        new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        pattern = re.compile(r"(mid_block\.attentions\.0\.)(to_q|to_k|to_v|to_out\.0)\.")
        rewrite(folder / VAE_WEIGHTS, lambda tensors: {
            pattern.sub(lambda found: f"{found[1]}{new[found[2]]}.", name): one for name, one in tensors.items()
        })  # fmt: skip
        assert any(".proj_attn." in name for name in load_file(folder / VAE_WEIGHTS))
    elif layout == "shards":
        shard(folder / UNET_WEIGHTS)
    elif layout == "our folder":
        path = folder.with_name("saved")
        save(model, path)
    else:
        tensors = load_file(folder / UNET_WEIGHTS)
        (folder / UNET_WEIGHTS).unlink()
        save_file(
            {name: one.half() for name, one in tensors.items()},
            folder / UNET_WEIGHTS.replace(".safetensors", ".fp16.safetensors"),
        )
    for one, other in zip(outputs(open_checkpoint(path)), outputs(model), strict=True):
        assert torch.equal(one, other)


def shard(path: Path) -> list[Path]:
    """A file of weights as two, with the index that diffusers writes."""
    tensors = load_file(path)
    path.unlink()
    names = sorted(tensors)
    parts: list[Path] = []
    weight_map: dict[str, str] = {}
    for number, chosen in enumerate((names[:20], names[20:]), 1):
        part = path.with_name(f"{path.stem}-0000{number}-of-00002.safetensors")
        save_file({name: tensors[name] for name in chosen}, part)
        weight_map |= dict.fromkeys(chosen, part.name)
        parts.append(part)
    path.with_name(f"{path.name}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return parts


# ----------------------------------------------------------------------------------------------------------------------
# what a folder says


def test_facts_are_the_folders_own(folder: Path, clip: Path, tmp_path: Path, no_weights_are_read: None) -> None:
    facts = diffusers_pipeline.read_pipeline(folder).facts
    assert (facts.image_size, facts.latent_scale, facts.latent_shift, facts.clip_name) == (16, 0.18215, 0.0, None)
    levels = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    assert schedule_of(folder) == levels
    text = write_pipeline(tmp_path / "text", TEXT, "v_prediction")
    assert schedule_of(text) == {**levels, "prediction_type": "v_prediction"}
    assert describe(text).clip_name == "ViT-L-14-quickgelu"


def test_a_pipeline_without_an_image_encoder_takes_clip_from_elsewhere(clip: Path, tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "text", TEXT)
    model = open_checkpoint(folder, str(clip))
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    expected = ClipEncoder(CLIP, None)
    expected.model.load_state_dict(load_file(clip))
    assert torch.equal(model.clip.embed_images(images), expected.embed_images(images))
    before = weights_hash(folder, str(clip))
    rewrite(clip, lambda tensors: {**tensors, "visual.proj": tensors["visual.proj"] + 1})
    assert weights_hash(folder, str(clip)) != before


@pytest.mark.parametrize(
    "name", ["model_index.json", "unet/config.json", "vae/config.json", "scheduler/scheduler_config.json", UNET_WEIGHTS,
             VAE_WEIGHTS, ENCODER_WEIGHTS],
)  # fmt: skip
def test_the_hash_is_of_all_that_is_loaded(folder: Path, name: str) -> None:
    before = weights_hash(folder)
    (folder / "README.md").write_text("no part of the model")
    assert weights_hash(folder) == before
    if name.endswith(".json"):
        path = folder / name
        path.write_text(path.read_text() + "\n")
    else:
        rewrite(folder / name, lambda tensors: {key: tensor + 1 for key, tensor in tensors.items()})
    assert weights_hash(folder) != before


# ----------------------------------------------------------------------------------------------------------------------
# the sizes of the published models: shapes on the meta device, without memory

SD_1 = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD_2 = {
    "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "counts"), [(SD_1, (859.52, 267.24, 245.24)), (SD_2, (865.91, 273.63, 248.43))], ids=["1.5", "2.1"]
)
def test_the_counts_at_full_size(settings: dict, counts: tuple[float, float, float]) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**settings)
    sizes = {name: parameter.numel() for name, parameter in unet.named_parameters()}
    tuned, live = anl.anl_names(unet), anl.trained_names(unet, "anl")
    found = [sum(sizes[name] for name in names) / 1e6 for names in (sizes, tuned, live)]
    assert found == [pytest.approx(count, abs=0.005) for count in counts]


@pytest.mark.parametrize(
    ("settings", "prediction", "clip_name", "image_size"),
    [(SD_1, "epsilon", "ViT-L-14-quickgelu", 512), (SD_2, "v_prediction", "ViT-H-14", 768)],
    ids=["1.5", "2.1"],
)
def test_a_folder_of_full_size_is_described_from_the_heads_of_its_files(
    tmp_path: Path, settings: dict, prediction: str, clip_name: str, image_size: int
) -> None:
    folder = write_pipeline(tmp_path / "pipeline", TEXT, prediction)
    blocks = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "sample_size": image_size}
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    with torch.device("meta"):
        networks = {UNET_WEIGHTS: UNet2DConditionModel(**settings), VAE_WEIGHTS: AutoencoderKL(**blocks, **kinds)}
    for name, network in networks.items():
        network.save_config((folder / name).parent)
        write_head(folder / name, {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()})
    found = describe(folder)
    assert found.clip_name == clip_name
    assert found.clip["embed_dim"] == settings["cross_attention_dim"]
    assert found.schedule.get("prediction_type", "epsilon") == prediction
    assert diffusers_pipeline.read_pipeline(folder).facts.image_size == image_size
    assert sum(path.stat().st_size for path in found.files) > 1.8e9
    small = tmp_path / "open_clip_model.safetensors"  # of another model: said before any of it is hashed
    write_head(small, {"positional_embedding": (77, 512), "logit_scale": ()})
    with pytest.raises(ValueError, match=rf"does not hold {clip_name} in open_clip's names: .*\[77, 512\] for"):
        weights_hash(folder, str(small))


# ----------------------------------------------------------------------------------------------------------------------
# refusals: one line each, before any weights are read


def refused(path: Path | str, clip_checkpoint: str | None = None) -> str:
    """What opening it and hashing it say, which is the same."""
    said = set()
    for ask in (open_checkpoint, weights_hash):
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            ask(Path(path), clip_checkpoint)
        said.add(str(error.value))
    (line,) = said
    assert "\n" not in line
    return line


def test_one_file_in_the_original_format_is_refused(tmp_path: Path, no_weights_are_read: None) -> None:
    path = tmp_path / "v1-5-pruned.safetensors"
    write_head(path, {"model.diffusion_model.out.2.bias": (4,), "cond_stage_model.transformer.text_model.x": (768,)})
    assert "folder of a diffusers pipeline (model_index.json, unet/, vae/, scheduler/), not as one file" in refused(
        path
    )
    with pytest.raises(ValueError, match="not as one file"):
        schedule_of(path)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
        ("StableDiffusionXLImg2ImgPipeline", "Stable Diffusion XL"),
        ("StableDiffusion3Pipeline", "a transformer"),
        ("FluxPipeline", "a transformer"),
        ("Flux2Pipeline", "a transformer"),
        ("PixArtAlphaPipeline", "a transformer"),
        ("SanaPipeline", "a transformer"),
        ("QwenImagePipeline", "a transformer"),
        ("StableCascadeDecoderPipeline", "a cascade"),
        ("WuerstchenDecoderPipeline", "a cascade"),
        ("UnCLIPPipeline", "a cascade"),
        ("KandinskyV22Pipeline", "its own conditions"),
        ("AudioLDMPipeline", "not one that is read here"),
    ],
)
def test_other_pipelines_are_refused_by_name(tmp_path: Path, kind: str, what: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    line = refused(tmp_path)
    assert line.startswith(f"generator.checkpoint={tmp_path}: a {kind} is ")
    assert what in line
    assert line.endswith("python -m ssl_aug.import_set")


@pytest.mark.parametrize(
    "name", ["unet/config.json", "vae/config.json", "image_encoder/config.json", "scheduler/scheduler_config.json",
             UNET_WEIGHTS, VAE_WEIGHTS, ENCODER_WEIGHTS],
)  # fmt: skip
def test_a_folder_that_is_not_whole(folder: Path, name: str, no_weights_are_read: None) -> None:
    (folder / name).unlink()
    assert refused(folder) == f"generator.checkpoint={folder}: {name} missing; the folder is not whole, fetch the rest"


def test_a_shard_that_is_not_there(folder: Path, no_weights_are_read: None) -> None:
    last = shard(folder / UNET_WEIGHTS)[-1]
    last.unlink()
    assert f"unet/{last.name} missing; the folder is not whole" in refused(folder)


@pytest.mark.parametrize("name", [UNET_WEIGHTS, VAE_WEIGHTS, ENCODER_WEIGHTS])
def test_weights_that_are_not_all_there(folder: Path, name: str, no_weights_are_read: None) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-100])
    assert f"{folder / name} is damaged or not all there" in refused(folder)
    (folder / name).write_text(POINTER)
    assert refused(folder) == f"{folder / name} is a Git LFS pointer, not the weights: run git lfs pull in its folder"


@pytest.mark.parametrize("part", ["unet", "vae", "image_encoder"])
def test_a_pickle_alone_is_not_opened(folder: Path, part: str, no_weights_are_read: None) -> None:
    path = next((folder / part).glob("*.safetensors"))
    path.rename(path.with_suffix(".bin"))
    line = refused(folder)
    assert f"{part} holds its weights as a pickle ({path.stem}.bin)" in line
    assert f"fetch {part}/{path.name}" in line


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
@pytest.mark.parametrize("name", [UNET_WEIGHTS, VAE_WEIGHTS, ENCODER_WEIGHTS])
def test_weights_that_do_not_fit(folder: Path, name: str, change: str, no_weights_are_read: None) -> None:
    def changed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        bias = next(key for key in tensors if key.endswith("fc1.bias" if "image" in name else "conv_in.bias"))
        if change == "missing":
            return {key: tensor for key, tensor in tensors.items() if key != bias}
        if change == "unknown":
            return {**tensors, f"{bias}.extra": torch.ones(1)}
        return {**tensors, bias: torch.ones(3)}

    rewrite(folder / name, changed)
    assert re.search(rf"{(folder / name).parent} does not fit its config\.json: 1 {change} \(", refused(folder))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("unet/config.json", {"class_embed_type": "timestep"}, "class_embed_type=timestep asks for conditions beside"),
        ("unet/config.json", {"num_class_embeds": 10}, "num_class_embeds=10 asks for conditions beside tokens"),
        ("unet/config.json", {"in_channels": 9}, "9 channels in and 4 out, latents have 4"),
        ("unet/config.json", {"sample_size": [8, 8]}, "sample_size=[8, 8], one number is wanted"),
        ("unet/config.json", {"_class_name": "UNet2DModel"}, "UNet2DModel, this reads UNet2DConditionModel"),
        ("unet/config.json", {"surprise": 1}, "makes no UNet2DConditionModel"),
        ("unet/config.json", {"cross_attention_dim": 32}, "embeddings of 16 values, the UNet takes tokens of 32"),
        ("vae/config.json", {"_class_name": "VQModel"}, "_class_name VQModel, this reads AutoencoderKL"),
        ("image_encoder/config.json", {"hidden_act": "relu"}, "no CLIP image tower that is known here"),
        ("image_encoder/config.json", {"layer_norm_eps": 1e-6}, "layer_norm_eps 1e-06"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "prediction_type='sample', known are"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1]}, "trained_betas is set, which is not known here"),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr is set"),
    ],
)  # fmt: skip
def test_networks_of_another_kind(folder: Path, file: str, change: dict, said: str, no_weights_are_read: None) -> None:
    rewrite(folder / file, change)
    line = refused(folder)
    assert said in line
    assert str(folder) in line


def test_noise_levels_that_are_not_named(folder: Path, no_weights_are_read: None) -> None:
    (folder / "scheduler/scheduler_config.json").write_text('{"num_train_timesteps": 1000, "shift": 3.0}')
    assert "beta_start, beta_end, beta_schedule not named" in refused(folder)
    (folder / "scheduler/scheduler_config.json").write_text("torn")
    assert "scheduler_config.json is damaged" in refused(folder)


def test_tokens_that_no_known_clip_gives(tmp_path: Path, no_weights_are_read: None) -> None:
    line = refused(write_pipeline(tmp_path / "text", TEXT))
    assert (
        "tokens of 16 values, and no CLIP is known that gives them: 768 (ViT-L-14-quickgelu), 1024 (ViT-H-14)" in line
    )


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("ViT-L-14-quickgelu", "timm/vit_large_patch14_clip_224.openai"),
        ("ViT-H-14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
    ],
)
def test_a_clip_that_is_not_there_says_where_it_is_published(name: str, repository: str) -> None:
    assert name in pipeline_clip.CLIP_OF_WIDTH.values()
    address = f"https://huggingface.co/{repository}/resolve/main/open_clip_model.safetensors"
    with pytest.raises(FileNotFoundError, match=re.escape(f"download {address} and give generator.clip_checkpoint=")):
        conditioning.clip_file(None, name)


def test_a_clip_may_be_named_as_open_clip_names_it() -> None:
    for source in ("ViT-L-14/openai", "ViT-L-14-quickgelu/openai"):
        with pytest.raises(FileNotFoundError, match=r"ViT-L-14-quickgelu, openai\) are not on this machine: download"):
            conditioning.clip_file(source, "ViT-L-14-quickgelu")
    with pytest.raises(ValueError, match="this generator takes ViT-L-14-quickgelu; give its tag or a file"):
        conditioning.clip_file("ViT-B-32/openai", "ViT-L-14-quickgelu")
    with pytest.raises(ValueError, match="ViT-L-14-quickgelu has no such weights; choose one of openai"):
        conditioning.clip_file("ViT-L-14/laion", "ViT-L-14-quickgelu")


def test_the_config_beside_a_clip_tells_its_activation(tmp_path: Path) -> None:
    weights, beside = tmp_path / "open_clip_model.safetensors", tmp_path / "open_clip_config.json"
    weights.touch()
    quick, plain = "ViT-B-32-quickgelu", "ViT-B-32"
    for config, fits, other, said in (
        ({"embed_dim": 512, "quick_gelu": True}, quick, plain, "with QuickGELU .* ViT-B-32 computes with GELU"),
        ({"embed_dim": 512}, plain, quick, "with GELU .* ViT-B-32-quickgelu computes with QuickGELU"),
    ):
        beside.write_text(json.dumps({"model_cfg": config}))
        for source in (tmp_path, weights):
            assert conditioning.clip_file(str(source), fits) == weights
            with pytest.raises(ValueError, match=said):
                conditioning.clip_file(str(source), other)
    for torn, said in (("{", "is damaged"), ("[]", "holds no JSON object"), ("{}", "has no model_cfg")):
        beside.write_text(torn)
        with pytest.raises(ValueError, match=said):
            conditioning.clip_file(str(tmp_path), quick)
    beside.unlink()
    assert conditioning.clip_file(str(tmp_path), quick) == weights, "nothing beside it says otherwise"


def test_a_clip_of_another_width_or_without_effect(
    folder: Path, clip: Path, tmp_path: Path, no_weights_are_read: None
) -> None:
    assert "clip_checkpoint has no effect" in refused(folder, str(clip))
    other = copy.deepcopy(CLIP)
    other["embed_dim"] = 8
    save_file(ClipEncoder(other, None).model.state_dict(), tmp_path / "narrow.safetensors")
    text = write_pipeline(tmp_path / "text", TEXT)
    with pytest.raises(ValueError, match=r"clip_checkpoint=.*narrow\.safetensors does not hold ViT-L-14-quickgelu"):
        weights_hash(text, str(tmp_path / "narrow.safetensors"))
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        open_checkpoint(text, str(tmp_path / "none.safetensors"))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("stabilityai/stable-diffusion-2-1", "snapshot_download('stabilityai/stable-diffusion-2-1', local_dir="),
        ("lambdalabs/sd-image-variations-diffusers@v2.0", "-diffusers', revision='v2.0', local_dir='FOLDER'"),
    ],
)
def test_a_hub_id_says_what_to_fetch_and_where_to_put_it(name: str, call: str) -> None:
    line = refused(name)
    assert f"generator.checkpoint={name}: there is no such file or folder, and HF_HUB_OFFLINE=1 is set" in line
    assert call in line
    assert line.endswith("and give generator.checkpoint=FOLDER")
