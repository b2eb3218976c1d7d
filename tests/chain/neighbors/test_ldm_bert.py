"""The text encoder of LDMTextToImagePipeline equals diffusers' own, and its tokens those of transformers.

Both need transformers, which is no dependency: they are imported in fixtures, so that collecting does without.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.ldm_bert import LDMBert, WordPieces, sizes_of
from generators.weights import fill

pytestmark = [pytest.mark.neighbors, pytest.mark.filterwarnings("ignore")]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    *SPECIAL, *"abcdefghijklmnopqrstuvwxyz0123456789.,!?-'()#$€¿的日σς", *(f"##{c}" for c in "abcdefghijklmnoprsuyσ19"),
    "##t", "a", "red", "car", "the", "##ing", "driv", "drive", "##s", "road", "cafe", "strasse", "in", "rain", "##ß",
]  # fmt: skip
TEXTS = [
    "", "a red car", "A black car driving on the road.", "There is a white car in front of the house", "CAFÉ, café!",
    "it's a well-known (red) car...", "  tabs\tand\nlines  ", "日的car", "ΣΑΣ σας ΟΔΟΣ", "Straße", "x" * 101, "x" * 100,
    "word " * 100, "\u200bzero\u200bwidth", "a\u00a0b\u2028c\u3000d", "ﬁne İstanbul", "$5 + €7 = ¿12?", "q" * 3,
    "emoji 🚗 car", "control\x07bell\x85next", "\ufffd", "e\u0301a\u0300", "##ing [MASKED]",
]  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    path.write_text("\n".join(dict.fromkeys(PIECES)) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tokenizers(vocabulary: Path) -> tuple[WordPieces, Any]:
    from transformers import BertTokenizer

    return WordPieces(vocabulary), BertTokenizer(str(vocabulary), do_lower_case=True)


@pytest.fixture(scope="module")
def original() -> ModuleType:
    from diffusers.pipelines.latent_diffusion import pipeline_latent_diffusion

    return pipeline_latent_diffusion


def theirs(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, padding="max_length", max_length=77, truncation=True)["input_ids"]
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_transformers(tokenizers: tuple[WordPieces, Any], text: str) -> None:
    ours, tokenizer = tokenizers
    assert ours([text])[0].tolist() == theirs(tokenizer, text)


# Letters, marks and signs that Unicode has had for long: of what came later the libraries' tables know more or less.
LETTERS = [(0x0000, 0x052F), (0x2000, 0x2064), (0x3000, 0x30FF), (0x4E00, 0x4EFF)]
ANY_LETTER = st.one_of(*(st.characters(min_codepoint=first, max_codepoint=last) for first, last in LETTERS))


@settings(max_examples=500, deadline=None)
@given(text=st.text(ANY_LETTER, max_size=40).filter(lambda text: not any(name in text for name in SPECIAL)))
def test_tokens_of_any_text_are_those_of_transformers(tokenizers: tuple[WordPieces, Any], text: str) -> None:
    ours, tokenizer = tokenizers
    assert ours([text])[0].tolist() == theirs(tokenizer, text)


@torch.no_grad()
def test_states_are_those_of_diffusers(original: ModuleType) -> None:
    torch.manual_seed(0)
    config = original.LDMBertConfig(
        vocab_size=50, encoder_layers=3, encoder_ffn_dim=40, encoder_attention_heads=2, head_dim=6, d_model=16,
        init_std=0.3,
    )  # fmt: skip
    model = original.LDMBertModel(config).eval()
    ours = LDMBert(sizes_of(config.to_dict(), Path("config.json"))).eval()
    fill(ours, model.state_dict(), "the names are not diffusers'")
    ids = torch.randint(0, 50, (3, 77))
    wanted = model(ids)[0]
    assert wanted.std() > 0.5
    assert (ours.states(ids) - wanted).abs().max() < 1e-5


def test_the_published_sizes_are_diffusers_default(original: ModuleType) -> None:
    with torch.device("meta"):
        config = original.LDMBertConfig()
        model, ours = original.LDMBertModel(config), LDMBert(sizes_of(config.to_dict(), Path("config.json")))
    shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (model, ours)]
    assert shapes[0] == shapes[1]
