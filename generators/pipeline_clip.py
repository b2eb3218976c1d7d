"""Which CLIP goes with a diffusers pipeline: its own image encoder, or the one that its text encoder is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.nn.functional import cosine_similarity

from generators.compvis import CLIP_NAME
from generators.conditioning import clip_config
from generators.image_encoder import open_clip_config
from generators.pipeline_files import IMAGE_ENCODER, TEXT_ENCODER, UNET, WORDS, check_token_width, weight_files
from generators.weights import read_one_of

# open_clip's model whose embeddings are as wide as the UNet's tokens, for pipelines without an image encoder. The text
# states that the UNet was trained with are of the same models.
CLIP_OF_WIDTH = {768: "ViT-L-14-quickgelu", 1024: "ViT-H-14"}
_SAME_CLIP = 0.9  # cosine of place embeddings from which two towers are of one training


def clip_of(
    folder: Path, kind: str, width: int, image_encoder: dict[str, Any] | None
) -> tuple[dict[str, Any], str | None]:
    """open_clip's config of a pipeline's CLIP, and its name where its weights come from elsewhere.

    Args:
        width: of the UNet's tokens.
        image_encoder: what its `config.json` says, where the pipeline has one.

    Raises:
        ValueError: an image encoder that is not known here or of another pipeline, or a width that no known CLIP has.
    """
    if image_encoder is not None:
        path = folder / IMAGE_ENCODER / "config.json"
        config = open_clip_config(image_encoder, path)
        check_token_width(path, config["embed_dim"], width)
        return config, None
    if kind == WORDS:  # its tokens are no CLIP's: the paper's scores the drawings
        return clip_config(CLIP_NAME), CLIP_NAME
    if width not in CLIP_OF_WIDTH:
        known = ", ".join(f"{size} ({name})" for size, name in CLIP_OF_WIDTH.items())
        raise ValueError(
            f"{folder / UNET / 'config.json'}: tokens of {width} values, and no CLIP is known that gives them: {known}"
        )
    return clip_config(CLIP_OF_WIDTH[width]), CLIP_OF_WIDTH[width]


def check_clip_of(folder: Path, clip: Path) -> None:
    """Compares a CLIP with the text encoder of a pipeline, where it has one: tokens as wide come from others too.

    Place embeddings are looked at, which fine-tuning hardly moves and another training shares nothing of.

    Raises:
        ValueError: the two are of different trainings.
    """
    if clip.suffix != ".safetensors" or not any((folder / TEXT_ENCODER).glob("*.safetensors")):
        return
    names = [f"{prefix}embeddings.position_embedding.weight" for prefix in ("text_model.", "")]
    found = (read_one_of(file, names) for file in weight_files(folder, TEXT_ENCODER))
    own = next((tensor for tensor in found if tensor is not None), None)
    given = read_one_of(clip, ["positional_embedding", "text.positional_embedding"])
    if own is None or given is None:
        return
    own, given = own.float(), given.float()
    is_same = own.shape == given.shape and float(cosine_similarity(own.flatten(), given.flatten(), dim=0)) > _SAME_CLIP
    if not is_same:
        raise ValueError(
            f"generator.clip_checkpoint={clip} is another training of CLIP than {folder / TEXT_ENCODER} is of: give "
            "the one that the pipeline was trained with"
        )
