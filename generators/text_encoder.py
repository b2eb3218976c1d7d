"""The text encoder of a diffusers pipeline: transformers' CLIPTextModel as open_clip's blocks, and its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.transformer import LayerNorm, QuickGELU, Transformer
from torch import Tensor, nn

from generators.clip_names import ACTIVATIONS, LAYER_NORM_EPS, open_clip_names
from generators.clip_tokenizer import clip_tokenizer, clip_vocabulary
from generators.files import read_json

_NAMES = {
    "embeddings.token_embedding": "token_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm": "ln_final",
}
_SPECIAL = {"<|startoftext|>": "<start_of_text>", "<|endoftext|>": "<end_of_text>"}  # transformers' and open_clip's


PAD_FILES = ("special_tokens_map.json", "tokenizer_config.json")  # the first that names pad_token


@dataclass(frozen=True)
class TextSettings:
    """What a pipeline's `text_encoder` and `tokenizer` say."""

    width: int
    layers: int
    heads: int
    mlp_width: int
    quick_gelu: bool
    num_states: int  # tokens of every prompt: 77
    pad_id: int  # token that fills the places behind a prompt: they are attended to like all others


class TextEncoder(nn.Module):
    """Prompts to the states that the UNet of a text pipeline attends to.

    Stable Diffusion 1.x takes the last layer's; the files of 2.x leave CLIP's last layer out, so that their last is
    the second to last. Both are normalized.
    """

    causal_mask: Tensor

    def __init__(self, settings: TextSettings):
        super().__init__()
        width, count = settings.width, settings.num_states
        self.settings = settings
        self.token_embedding = nn.Embedding(clip_tokenizer(count).vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.empty(count, width))
        self.transformer = Transformer(
            width=width,
            layers=settings.layers,
            heads=settings.heads,
            mlp_ratio=settings.mlp_width / width,
            act_layer=QuickGELU if settings.quick_gelu else nn.GELU,
        )
        self.ln_final = LayerNorm(width)
        self.tokenizer = clip_tokenizer(count)
        mask = torch.full((count, count), float("-inf"), device="cpu").triu(1)
        self.register_buffer("causal_mask", mask, persistent=False)

    def forward(self, prompt: str) -> Tensor:
        """The (1, n, d) states of one prompt."""
        ids = self.token_ids(prompt).to(self.positional_embedding.device)
        states = self.token_embedding(ids) + self.positional_embedding
        out: Tensor = self.ln_final(self.transformer(states, attn_mask=self.causal_mask))
        return out

    def token_ids(self, prompt: str) -> Tensor:
        """(1, n) tokens: start, prompt, end, and what this pipeline fills the rest with; longer prompts are cut.

        Where that is no end token but "!" (2.x), one in the prompt is the same token, as in transformers.
        """
        pad, end, count = self.settings.pad_id, self.tokenizer.eot_token_id, self.settings.num_states
        pieces = [prompt] if pad == end else prompt.split(self.tokenizer.decoder[pad])
        words = [token for piece in pieces for token in (pad, *self.tokenizer.encode(piece))][1:]
        ids = [*[self.tokenizer.sot_token_id, *words][: count - 1], end]
        return torch.tensor([ids + [pad] * (count - len(ids))])


# ---------------------------------------------------------------------------------------------------------------------
# a pipeline's files


def read_text_settings(encoder: Path, tokenizer: Path, way_out: str) -> TextSettings:
    """What the JSON of a pipeline's text encoder and tokenizer says.

    Raises:
        ValueError: a text encoder or a vocabulary that is not CLIP's, a value that open_clip's tower cannot have, or a
            damaged file, with `way_out`.
    """
    path = encoder / "config.json"
    theirs = read_json(path, way_out)
    try:
        found = TextSettings(
            width=int(theirs["hidden_size"]),
            layers=int(theirs["num_hidden_layers"]),
            heads=int(theirs["num_attention_heads"]),
            mlp_width=int(theirs["intermediate_size"]),
            quick_gelu=ACTIVATIONS[theirs["hidden_act"]],
            num_states=int(theirs["max_position_embeddings"]),
            pad_id=_pad_id(tokenizer, way_out),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: no CLIP text tower that is known here ({error})") from error
    if theirs.get("layer_norm_eps", LAYER_NORM_EPS) != LAYER_NORM_EPS:
        raise ValueError(f"{path}: layer_norm_eps {theirs['layer_norm_eps']}, open_clip's towers have {LAYER_NORM_EPS}")
    known = clip_vocabulary()
    if theirs.get("vocab_size") != len(known):
        raise ValueError(f"{path}: {theirs.get('vocab_size')} tokens, CLIP's vocabulary has {len(known)}")
    vocabulary = tokenizer / "vocab.json"
    if vocabulary.is_file():
        named = {_SPECIAL.get(token, token): number for token, number in read_json(vocabulary, way_out).items()}
        if named != known:
            raise ValueError(f"{vocabulary} is not CLIP's vocabulary: a tokenizer of its own is not known here")
    return found


def _pad_id(tokenizer: Path, way_out: str) -> int:
    """The token that a tokenizer fills the places behind a prompt with: the end token in 1.x, "!" in 2.x."""
    known = clip_vocabulary()
    for name in PAD_FILES:
        path = tokenizer / name
        token = read_json(path, way_out).get("pad_token") if path.is_file() else None
        content = token.get("content") if isinstance(token, dict) else token
        if content is not None:
            number = known.get(_SPECIAL.get(str(content), str(content)))
            if number is None:
                raise ValueError(f"{path}: pad_token {content!r} is not in CLIP's vocabulary")
            return number
    raise ValueError(f"{tokenizer}: no file names the pad_token (special_tokens_map.json): {way_out}")


def open_clip_text_weights(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' tensors under `TextEncoder`'s names; what has no counterpart keeps its name."""
    return open_clip_names(theirs, "text_model", _NAMES)


# ---------------------------------------------------------------------------------------------------------------------
# prompts


def class_prompt_of(template: str, class_name: str) -> str:
    """The prompt of a class: its name, with spaces in place of underscores, where the template says {class}."""
    return template.replace("{class}", class_name.replace("_", " "))
