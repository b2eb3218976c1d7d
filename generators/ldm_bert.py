"""The text encoder of CompVis' latent diffusion model (LDMTextToImagePipeline): a transformer and its word pieces.

The same function as diffusers' LDMBertModel, under the same parameter names, without transformers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH = 77  # tokens of a text, the special ones included
_LONGEST_WORD = 100  # letters; a longer one is unknown
# First and last code points of the blocks whose signs are words of their own.
_CHINESE = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


# ---------------------------------------------------------------------------------------------------------------------
# the transformer


@dataclass(frozen=True)
class BertSizes:
    """What `bert/config.json` says of the network, in its own words; as published by default."""

    vocab_size: int = 30522
    max_position_embeddings: int = LENGTH
    d_model: int = 1280
    encoder_layers: int = 32
    encoder_ffn_dim: int = 5120
    encoder_attention_heads: int = 8
    head_dim: int = 64


def sizes_of(config: Mapping[str, Any], path: Path) -> BertSizes:
    """The sizes in the content of `bert/config.json`.

    Raises:
        ValueError: one is not named, or another activation.
    """
    names = [field.name for field in fields(BertSizes)]
    lacking = [name for name in names if name not in config]
    if lacking:
        raise ValueError(f"{path}: {', '.join(lacking)} not named, so the text encoder is not known")
    if config.get("activation_function", "gelu") != "gelu":
        raise ValueError(f"{path}: activation_function={config['activation_function']!r}, gelu is wanted")
    return BertSizes(**{name: int(config[name]) for name in names})


class _Attention(nn.Module):
    def __init__(self, sizes: BertSizes):
        super().__init__()
        inner = sizes.encoder_attention_heads * sizes.head_dim  # not the width: 512 of 1280 as published
        self.head_dim = sizes.head_dim
        self.k_proj = nn.Linear(sizes.d_model, inner, bias=False)
        self.v_proj = nn.Linear(sizes.d_model, inner, bias=False)
        self.q_proj = nn.Linear(sizes.d_model, inner, bias=False)
        self.out_proj = nn.Linear(inner, sizes.d_model)

    def forward(self, states: Tensor) -> Tensor:
        """Every token sees every other, padding too: CompVis trained without a mask."""
        query, key, value = (
            project(states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # (b, heads, n, head)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out: Tensor = self.out_proj(seen)
        return out


class _Layer(nn.Module):
    def __init__(self, sizes: BertSizes):
        super().__init__()
        self.self_attn = _Attention(sizes)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.d_model)
        self.fc1 = nn.Linear(sizes.d_model, sizes.encoder_ffn_dim)
        self.fc2 = nn.Linear(sizes.encoder_ffn_dim, sizes.d_model)
        self.final_layer_norm = nn.LayerNorm(sizes.d_model)

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.self_attn(self.self_attn_layer_norm(states))
        found: Tensor = states + self.fc2(F.gelu(self.fc1(self.final_layer_norm(states))))
        return found


class _Encoder(nn.Module):
    def __init__(self, sizes: BertSizes):
        super().__init__()
        self.embed_tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.embed_positions = nn.Embedding(sizes.max_position_embeddings, sizes.d_model)
        self.layers = nn.ModuleList(_Layer(sizes) for _ in range(sizes.encoder_layers))
        self.layer_norm = nn.LayerNorm(sizes.d_model)

    def forward(self, ids: Tensor) -> Tensor:
        states = self.embed_tokens(ids) + self.embed_positions.weight[: ids.shape[1]]
        for layer in self.layers:
            states = layer(states)
        found: Tensor = self.layer_norm(states)
        return found


class LDMBert(nn.Module):
    """Texts' tokens to the states that the UNet attends to."""

    def __init__(self, sizes: BertSizes):
        super().__init__()
        self.model = _Encoder(sizes)
        self.to_logits = nn.Linear(sizes.d_model, sizes.vocab_size)  # stands in the file; nothing reads it

    def states(self, ids: Tensor) -> Tensor:
        """(b, n) token numbers -> (b, n, d) states, n at most `max_position_embeddings`."""
        found: Tensor = self.model(ids)
        return found


class BertTextEncoder(LDMBert):
    """Prompts to states, as `generators.text_encoder.TextEncoder`."""

    def __init__(self, sizes: BertSizes, tokenizer: WordPieces):
        super().__init__(sizes)
        self.tokenizer = tokenizer

    def forward(self, prompt: str) -> Tensor:
        """The (1, n, d) states of one prompt."""
        return self.states(self.tokenizer([prompt]).to(self.to_logits.weight.device))


# ---------------------------------------------------------------------------------------------------------------------
# word pieces


class WordPieces:
    """Texts to token numbers, as BERT's uncased tokenizer does (Devlin et al., arXiv:1810.04805).

    **Deviations:** a special token's name in a text ("[SEP]") is text like any other.
    """

    def __init__(self, vocabulary: Path):
        """
        Args:
            vocabulary: `tokenizer/vocab.txt`, one piece a line; its number is the line's.

        Raises:
            ValueError: a special token is not in it.
        """
        lines = vocabulary.read_text(encoding="utf-8").split("\n")
        self._number_of = {line.rstrip("\r"): number for number, line in enumerate(lines) if line}
        missing = [name for name in ("[UNK]", "[CLS]", "[SEP]", "[PAD]") if name not in self._number_of]
        if missing:
            raise ValueError(
                f"{vocabulary}: no {', '.join(missing)}, so this is no vocabulary of BERT's: fetch it again"
            )
        self._unknown, self._first, self._last, self._padding = (
            self._number_of[name] for name in ("[UNK]", "[CLS]", "[SEP]", "[PAD]")
        )

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (b, 77) token numbers: [CLS], the text cut to what fits, [SEP], then [PAD]."""
        rows = []
        for text in texts:
            pieces = [number for word in split_words(text) for number in self._pieces(word)]
            row = [self._first, *pieces[: LENGTH - 2], self._last]
            rows.append(row + [self._padding] * (LENGTH - len(row)))
        return torch.tensor(rows)

    def _pieces(self, word: str) -> list[int]:
        """The longest piece that a word begins with, then that of the rest; the whole is unknown if one is missing."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._number_of), None)
            if end is None:
                return [self._unknown]
            found.append(self._number_of[mark + word[start:end]])
            start = end
        return found


def split_words(text: str) -> Iterator[str]:
    """Lower-cased words without accents; each punctuation mark and Chinese sign is a word."""
    kept = "".join(" " if _is_space(letter) else letter for letter in text if not _is_control(letter))
    spaced = "".join(f" {letter} " if _is_chinese(letter) else letter for letter in kept)
    decomposed = unicodedata.normalize("NFD", spaced)
    plain = (letter.lower() for letter in decomposed if unicodedata.category(letter) != "Mn")
    # letter by letter: lower() of a whole word would write a Greek sigma at its end otherwise
    for chunk in "".join(plain).split():
        word = ""
        for letter in chunk:
            if not _is_punctuation(letter):
                word += letter
                continue
            if word:
                yield word
            yield letter
            word = ""
        if word:
            yield word


def _is_space(letter: str) -> bool:
    return letter in "\t\n\r" or unicodedata.category(letter) in ("Zs", "Zl", "Zp")


def _is_control(letter: str) -> bool:
    return letter == "\ufffd" or (letter not in "\t\n\r" and unicodedata.category(letter) in ("Cc", "Cf", "Co"))


def _is_chinese(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _CHINESE)


def _is_punctuation(letter: str) -> bool:
    return letter in _ASCII_PUNCTUATION or unicodedata.category(letter).startswith("P")
