"""The text encoder of CompVis' latent diffusion model; tests/chain/neighbors compares it with diffusers' own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from generators.ldm_bert import BertSizes, LDMBert, WordPieces, sizes_of, split_words

TINY = BertSizes(vocab_size=20, d_model=12, encoder_layers=2, encoder_ffn_dim=10, encoder_attention_heads=3, head_dim=5)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "car", "##s", "driv", "##ing", "drive", ",", "'"]


@pytest.fixture
def pieces(tmp_path: Path) -> WordPieces:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return WordPieces(tmp_path / "vocab.txt")


def slow_states(weights: dict[str, Tensor], ids: list[int]) -> Tensor:
    """One text's states, head by head."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = torch.stack([weights["model.embed_tokens.weight"][number] for number in ids])
    x = x + weights["model.embed_positions.weight"][: len(ids)]
    for number in range(TINY.encoder_layers):
        layer = f"model.layers.{number}."
        y = norm(x, layer + "self_attn_layer_norm")
        q, k, v = (
            (y @ weights[f"{layer}self_attn.{part}_proj.weight"].T).split(TINY.head_dim, dim=-1) for part in "qkv"
        )
        heads = [(a @ b.T / TINY.head_dim**0.5).softmax(-1) @ c for a, b, c in zip(q, k, v, strict=True)]
        out = f"{layer}self_attn.out_proj"
        x = x + torch.cat(heads, dim=-1) @ weights[f"{out}.weight"].T + weights[f"{out}.bias"]
        y = norm(x, layer + "final_layer_norm") @ weights[f"{layer}fc1.weight"].T + weights[f"{layer}fc1.bias"]
        x = x + F.gelu(y) @ weights[f"{layer}fc2.weight"].T + weights[f"{layer}fc2.bias"]
    return norm(x, "model.layer_norm")


@torch.no_grad()
def test_states_are_those_of_the_slow_way() -> None:
    torch.manual_seed(0)
    model = LDMBert(TINY).eval()
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape) * 0.5)
    ids = [[2, 5, 6, 3, 0, 0], [2, 6, 6, 6, 6, 3]]
    wanted = torch.stack([slow_states(model.state_dict(), row) for row in ids])
    assert (model.states(torch.tensor(ids)) - wanted).abs().max() < 1e-5


def test_the_sizes_of_the_published_encoder() -> None:
    with torch.device("meta"):
        model = LDMBert(BertSizes())
    assert sum(parameter.numel() for parameter in model.model.parameters()) / 1e6 == pytest.approx(542.90, abs=0.005)
    assert sizes_of({**asdict(TINY), "dropout": 0.1}, Path("config.json")) == TINY


def test_settings_of_another_encoder_are_named() -> None:
    with pytest.raises(ValueError, match=r"config\.json: d_model, head_dim not named"):
        sizes_of({k: v for k, v in asdict(TINY).items() if k not in ("d_model", "head_dim")}, Path("config.json"))
    with pytest.raises(ValueError, match="activation_function='relu', gelu is wanted"):
        sizes_of({**asdict(TINY), "activation_function": "relu"}, Path("config.json"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A RED Café", ["a", "red", "cafe"]),
        ("it's a well-known car...", ["it", "'", "s", "a", "well", "-", "known", "car", ".", ".", "."]),
        ("日本car", ["日", "本", "car"]),
        ("a\u200bb\x07c\td\ufffd", ["abc", "d"]),
        ("ΟΔΟΣ", ["οδοσ"]),
        ("  ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert list(split_words(text)) == words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("A red car", ["a", "red", "car"]),
        ("cars, driving", ["car", "##s", ",", "driv", "##ing"]),  # the longest piece first
        ("drives", ["drive", "##s"]),
        ("driver", ["[UNK]"]),  # a word is known whole or not at all
        ("x" * 101, ["[UNK]"]),
        ("a " * 90, ["a"] * 75),
    ],
)
def test_pieces(pieces: WordPieces, text: str, found: list[str]) -> None:
    row = ["[CLS]", *found, "[SEP]"]
    assert pieces([text]).tolist() == [[PIECES.index(name) for name in row] + [0] * (77 - len(row))]


def test_a_vocabulary_of_another_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\nb\n[PAD]\n")
    with pytest.raises(ValueError, match=r"vocab\.txt: no \[UNK\], \[CLS\], \[SEP\], so this is no vocabulary"):
        WordPieces(tmp_path / "vocab.txt")
