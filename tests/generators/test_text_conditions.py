"""Conditions of class names by a pipeline's own text encoder: its states, and drawings that equal diffusers' loop."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from generators import pipeline_clip
from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from generators.checkpoints import describe, open_checkpoint, weights_hash
from generators.conditioning import ClipEncoder
from generators.ldm import LatentDiffusion
from generators.ldm_bert import LDMBert, WordPieces, sizes_of
from generators.seeded_noise import seeded_noise
from generators.settings import GeneratorSettings, SamplingSettings
from generators.text_encoder import class_prompt_of
from tests.generators.pipelines import (
    BERT,
    CLIP,
    IMAGE,
    TEXT,
    TEXT_CONFIG,
    TEXT_WEIGHTS,
    UNET_WEIGHTS,
    WORDS,
    rewrite,
    text_weights,
    write_clip,
    write_pipeline,
)  # fmt: skip
from tests.generators.test_diffusers_pipeline import slow_draw

CLASSES = ("red_panda", "tram", "red_panda")
SEEDS = (5, 6, 7)
END = 49407


@pytest.fixture(autouse=True)
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A CLIP of the tiny pipelines' width; its file."""
    return str(write_clip(tmp_path / "open_clip_model.safetensors", monkeypatch))


def write_attentive(folder: Path, prediction: str = "epsilon") -> Path:
    """A text pipeline in whose pictures a prompt shows: random weights attend to all states alike, and weakly."""
    write_pipeline(folder, TEXT, prediction)
    strong = re.compile(r"\.attn2\.to_[qkv]\.")
    rewrite(folder / UNET_WEIGHTS, lambda tensors: {
        name: 6 * one if strong.search(name) else one for name, one in tensors.items()
    })  # fmt: skip
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_attentive(tmp_path / "pipeline")


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def opened(folder: Path, clip: str) -> LatentDiffusion:
    return open_checkpoint(folder, clip, with_text=True)


def slow_states(weights: dict[str, Tensor], ids: Tensor) -> Tensor:
    """transformers' CLIPTextModel on one prompt, place by place: (n, d) normalized states of the last layer."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], TEXT_CONFIG["layer_norm_eps"]
        )

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["embeddings.token_embedding.weight"][ids] + weights["embeddings.position_embedding.weight"]
    head = TEXT_CONFIG["hidden_size"] // TEXT_CONFIG["num_attention_heads"]
    for number in range(TEXT_CONFIG["num_hidden_layers"]):
        layer = f"encoder.layers.{number}."
        y = norm(x, layer + "layer_norm1")
        q, k, v = (linear(y, f"{layer}self_attn.{part}_proj").split(head, dim=-1) for part in "qkv")
        heads = []
        for a, b, c in zip(q, k, v, strict=True):
            seen = [(a[at] @ b[: at + 1].T / head**0.5).softmax(-1) @ c[: at + 1] for at in range(len(ids))]
            heads.append(torch.stack(seen))
        x = x + linear(torch.cat(heads, dim=-1), f"{layer}self_attn.out_proj")
        y = linear(norm(x, layer + "layer_norm2"), f"{layer}mlp.fc1")
        y = y * torch.sigmoid(1.702 * y) if TEXT_CONFIG["hidden_act"] == "quick_gelu" else F.gelu(y)
        x = x + linear(y, f"{layer}mlp.fc2")
    return norm(x, "final_layer_norm")


# ---------------------------------------------------------------------------------------------------------------------
# states


@pytest.mark.parametrize(("prediction", "pad"), [("epsilon", END), ("v_prediction", 0)])
def test_what_is_behind_a_prompt_is_what_the_tokenizer_fills_in(
    tmp_path: Path, clip: str, prediction: str, pad: int
) -> None:
    text = opened(write_pipeline(tmp_path / prediction, TEXT, prediction), clip).text
    assert text is not None
    ids = text.token_ids("a photo of a car")[0].tolist()
    assert ids == [49406, 320, 1125, 539, 320, 1615, END, *[pad] * 70]
    assert text.token_ids("")[0].tolist() == [49406, END, *[pad] * 75]
    assert text.token_ids("car!")[0].tolist()[1:4] == ([1615, 256, END] if pad == END else [1615, 0, END])
    long = text.token_ids("car " * 100)[0].tolist()
    assert long == [49406, *[1615] * 75, END]


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("prefix", ["text_model.", ""])
@torch.no_grad()
def test_the_states_are_those_of_the_pipelines_own_text_encoder(
    folder: Path, clip: str, activation: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TEXT_CONFIG, "hidden_act", activation)
    rewrite(folder / "text_encoder/config.json", TEXT_CONFIG)
    numbers = {f"{prefix}embeddings.position_ids": torch.arange(77)[None]}
    rewrite(folder / TEXT_WEIGHTS, lambda _: {**text_weights(prefix), **numbers})
    model = opened(folder, clip)
    prompts = ["a photo of a car", "", "a photo of a car"]
    states = model.prompt_states(prompts)
    assert states.shape == (3, 77, 16)
    assert model.text is not None
    for row, prompt in zip(states, prompts, strict=True):
        assert (row - slow_states(text_weights(""), model.text.token_ids(prompt)[0])).abs().max() < 1e-5
    assert not torch.allclose(states[0], states[1], atol=0.1)


def test_without_being_asked_for_no_text_encoder_is_read(folder: Path, clip: str) -> None:
    before = weights_hash(folder, clip)
    with_text = weights_hash(folder, clip, with_text=True)
    assert before != with_text
    rewrite(folder / TEXT_WEIGHTS, lambda tensors: {
        name: one + 1 if "layer_norm" in name else one for name, one in tensors.items()
    })  # fmt: skip
    assert weights_hash(folder, clip) == before
    assert weights_hash(folder, clip, with_text=True) != with_text
    (folder / TEXT_WEIGHTS).unlink()  # as where all *.json were fetched
    assert weights_hash(folder, clip) == before
    model = open_checkpoint(folder, clip)
    with pytest.raises(ValueError, match="without a text encoder"):
        model.prompt_states(["a car"])


def test_how_a_tokenizer_fills_up_is_part_of_what_is_loaded(folder: Path, clip: str) -> None:
    before = weights_hash(folder, clip, with_text=True)
    (folder / "tokenizer/special_tokens_map.json").write_text('{"pad_token": "!"}')
    assert weights_hash(folder, clip, with_text=True) != before


def test_a_class_prompt_has_the_name_with_spaces() -> None:
    assert class_prompt_of("a photo of a {class}, an animal", "red_panda") == "a photo of a red panda, an animal"


# ---------------------------------------------------------------------------------------------------------------------
# drawings


def slow_conditions(model: LatentDiffusion, images: Tensor, with_image: bool) -> tuple[Tensor, Tensor]:
    """Conditions and null conditions of the three images, row by row."""
    assert model.text is not None
    rows, nulls = [], []
    for image, name in zip(images, CLASSES, strict=True):
        states = model.text(f"a photo of a {name.replace('_', ' ')}")[0]
        token = model.clip.embed_images(image[None])[0]
        rows.append(torch.cat([states, token]) if with_image else states)
        empty = model.text("")[0]
        nulls.append(torch.cat([empty, torch.zeros(1, 16)]) if with_image else empty)
    return torch.stack(rows), torch.stack(nulls)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("condition", ["class", "image+class"])
@torch.no_grad()
def test_drawings_equal_those_of_diffusers(
    tmp_path: Path, clip: str, images: Tensor, condition: str, prediction: str, guidance: float
) -> None:
    folder = write_attentive(tmp_path / "pipeline", prediction)
    model = opened(folder, clip)
    settings = SamplingSettings(
        condition=condition, class_prompt="a photo of a {class}", mask_rate=0, steps=20, guidance=guidance
    )
    drawn = ANLLatentDiffusion(model, settings, 16)(images, CLASSES, SEEDS)
    tokens, null = slow_conditions(model, images, condition == "image+class")
    wanted = slow_draw(folder, seeded_noise(SEEDS, (4, 8, 8)), tokens, 20, guidance, null)
    assert drawn.std() > 0.1
    assert (drawn - wanted).abs().max() < 1e-5


def build(folder: Path, clip: str, **sampling: object) -> ANLLatentDiffusion:
    settings = SamplingSettings(**{"class_prompt": "a photo of a {class}", "steps": 10, **sampling})  # type: ignore[arg-type]
    generator = build_generator(GeneratorSettings("ldm", str(folder), clip_checkpoint=clip), settings)
    assert isinstance(generator, ANLLatentDiffusion)
    return generator


@pytest.mark.parametrize("condition", ["class", "image+class"])
def test_a_batch_of_mixed_classes_is_drawn_as_each_image_alone(
    folder: Path, clip: str, images: Tensor, condition: str
) -> None:
    generator = build(folder, clip, condition=condition, guidance=2.0)
    together = generator(images, CLASSES, SEEDS)
    alone = [generator(images[row][None], CLASSES[row : row + 1], SEEDS[row : row + 1])[0] for row in range(3)]
    assert (together - torch.stack(alone)).abs().max() < 1e-4


@torch.no_grad()
def test_what_each_condition_depends_on(folder: Path, clip: str, images: Tensor) -> None:
    same = (images[:1].expand(2, -1, -1, -1), (5, 5))
    for condition in ("class", "image+class"):
        first, second = build(folder, clip, condition=condition)(same[0], ("tram", "red_panda"), same[1])
        assert (first - second).abs().max() > 1e-3  # the name
        other = build(folder, clip, condition=condition, class_prompt="{class}")(same[0], ("tram",) * 2, same[1])
        assert (first - other[0]).abs().max() > 1e-3  # the prompt around it
    seen = build(folder, clip, condition="image+class", mask_rate=0.0)
    masked = build(folder, clip, condition="image+class", mask_rate=0.9)
    blind = build(folder, clip, condition="class", mask_rate=0.0)
    pairs = [(images[:1], -images[:1])]
    for one, other in pairs:
        drawn = [generator(one, ("tram",), (5,)) for generator in (seen, masked, blind)]
        again = [generator(other, ("tram",), (5,)) for generator in (seen, masked, blind)]
        assert not torch.equal(drawn[0], again[0])
        assert not torch.equal(drawn[0], drawn[1])  # the rectangle
        assert torch.equal(drawn[2], again[2])  # the name alone does not see the image
    from_image = build(folder, clip, condition="class", strength=0.3)  # but as a start it does (SDEdit)
    assert not torch.equal(from_image(images[:1], ("tram",), (5,)), from_image(-images[:1], ("tram",), (5,)))


# ---------------------------------------------------------------------------------------------------------------------
# a text encoder of another kind


@pytest.fixture
def words_folder(tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LDM text2im, whose tokens are no CLIP's: the CLIP that scores is as wide as any."""
    narrow = {**CLIP, "embed_dim": 8}
    monkeypatch.setattr(pipeline_clip, "clip_config", lambda name: narrow)
    save_file(ClipEncoder(narrow, None).model.state_dict(), tmp_path / "narrow.safetensors")
    folder = write_pipeline(tmp_path / "words", WORDS)
    return folder


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@torch.no_grad()
def test_text2im_draws_on_its_own_states(words_folder: Path, tmp_path: Path, images: Tensor, guidance: float) -> None:
    model = open_checkpoint(words_folder, str(tmp_path / "narrow.safetensors"))
    settings = SamplingSettings(
        condition="class", class_prompt="a photo of a {class}", mask_rate=0, steps=20, guidance=guidance
    )
    drawn = ANLLatentDiffusion(model, settings, 16)(images, CLASSES, SEEDS)
    bert = LDMBert(sizes_of(BERT, words_folder))
    bert.load_state_dict(load_file(words_folder / "bert/model.safetensors"))
    pieces = WordPieces(words_folder / "tokenizer/vocab.txt")
    prompts = [f"a photo of a {name.replace('_', ' ')}" for name in CLASSES]
    tokens, null = (torch.cat([bert.states(pieces([one])) for one in texts]) for texts in (prompts, [""] * 3))
    (words_folder / "vqvae").rename(words_folder / "vae")
    wanted = slow_draw(words_folder, seeded_noise(SEEDS, (4, 8, 8)), tokens, 20, guidance, null)
    assert (drawn - wanted).abs().max() < 1e-5
    other = ANLLatentDiffusion(model, settings, 16)(images, CLASSES[::-1][1:] + CLASSES[1:2], SEEDS)
    assert (drawn - other).abs().max() > 1e-4  # the names show
    with pytest.raises(ValueError, match="condition=image: this model takes the tokens of texts alone"):
        ANLLatentDiffusion(model, SamplingSettings(), 16)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bert/config.json", "bert/config.json missing"),
        ("bert/model.safetensors", "bert/model.safetensors missing"),
        ("tokenizer/vocab.txt", "tokenizer/vocab.txt missing"),
        ("vqvae/config.json", "vqvae/config.json missing"),
    ],
)
def test_text2im_that_is_not_whole(words_folder: Path, clip: str, name: str, said: str) -> None:
    (words_folder / name).unlink()
    assert said in refused(words_folder, clip)


def test_text2im_that_does_not_fit(words_folder: Path, clip: str) -> None:
    rewrite(words_folder / "bert/config.json", {"d_model": 32})
    assert "bert/config.json: embeddings of 32 values, the UNet takes tokens of 16" in refused(words_folder, clip)
    rewrite(words_folder / "bert/config.json", {"d_model": 16, "encoder_layers": 3})
    assert "bert does not fit its config.json: 13 missing" in refused(words_folder, clip)


# ---------------------------------------------------------------------------------------------------------------------
# refusals


def refused(folder: Path, clip: str) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        describe(folder, with_text=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("text_encoder/config.json", {"hidden_size": 32}, "embeddings of 32 values, the UNet takes tokens of 16"),
        ("text_encoder/config.json", {"hidden_act": "relu"}, "no CLIP text tower that is known here"),
        ("text_encoder/config.json", {"layer_norm_eps": 1e-6}, "layer_norm_eps 1e-06"),
        ("text_encoder/config.json", {"vocab_size": 32000}, "32000 tokens, CLIP's vocabulary has 49408"),
        ("text_encoder/config.json", {"num_hidden_layers": 3}, "text_encoder does not fit its config.json: 12 missing"),
        ("tokenizer/special_tokens_map.json", {"pad_token": "[PAD]"}, "pad_token '[PAD]' is not in CLIP's vocabulary"),
        ("tokenizer/special_tokens_map.json", {"pad_token": None}, "no file names the pad_token"),
    ],
)  # fmt: skip
def test_a_text_encoder_of_another_kind(folder: Path, clip: str, file: str, change: dict, said: str) -> None:
    rewrite(folder / file, change)
    assert said in refused(folder, clip)


@pytest.mark.parametrize("name", ["text_encoder/config.json", TEXT_WEIGHTS])
def test_a_text_encoder_that_is_not_whole(folder: Path, clip: str, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} missing; the folder is not whole" in refused(folder, clip)


def test_a_vocabulary_of_its_own(folder: Path, clip: str) -> None:
    (folder / "tokenizer/vocab.json").write_text('{"<|startoftext|>": 0, "car": 1}')
    assert "tokenizer/vocab.json is not CLIP's vocabulary" in refused(folder, clip)


def test_a_clip_of_another_training_is_told_by_the_pipelines_text_encoder(folder: Path, clip: str) -> None:
    own = load_file(folder / TEXT_WEIGHTS)["text_model.embeddings.position_embedding.weight"]
    noise = torch.randn(own.shape, generator=torch.Generator().manual_seed(0))
    tuned = own + own.std() * noise / 10  # as fine-tuning moves it, or more
    rewrite(Path(clip), lambda tensors: {**tensors, "positional_embedding": tuned})
    assert len(weights_hash(folder, clip)) == 12
    rewrite(Path(clip), lambda tensors: {**tensors, "positional_embedding": noise})
    with pytest.raises(ValueError, match=r"clip_checkpoint=.* is another training of CLIP than .*text_encoder is of"):
        weights_hash(folder, clip)


def test_weights_without_a_text_encoder_say_so(tmp_path: Path, clip: str, tiny_checkpoint: Path) -> None:
    assert f"a {'StableDiffusionImageVariationPipeline'} has no text encoder" in refused(
        write_pipeline(tmp_path / "variations", IMAGE), clip
    )
    assert re.search(r"has no text encoder for class names.*use condition=image", refused(tiny_checkpoint, clip))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"condition": "class", "class_prompt": "a photo of a car"}, "it needs {class} where the class's name stands"),
        ({"condition": "image+class"}, "class_prompt=None: it needs {class}"),
        ({"condition": "class", "class_prompt": "{class}", "prompt": "a car"}, "no effect on a prompt"),
    ],
)
def test_settings_of_class_prompts(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        SamplingSettings(**settings)
