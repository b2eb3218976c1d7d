"""What can be told of a checkpoint before torch and all else is loaded, which takes seconds."""

from __future__ import annotations

from pathlib import Path

from generators import hub
from generators.files import check_head
from generators.needed_files import needed_files
from generators.pipeline_files import INDEX_FILE, kind_of, listing_of
from generators.settings import GeneratorSettings


def refuse_at_once(generator: GeneratorSettings) -> None:
    """Says of a pipeline that is another one, not whole, damaged or out of reach.

    Raises:
        FileNotFoundError, ValueError: as `generators.hub.in_cache` and `generators.needed_files`, or a file of weights
            that is none or not all there.
    """
    if generator.name != "ldm" or generator.checkpoint is None:
        return
    if hub.is_hub_id(generator.checkpoint):
        if hub.may_fetch():
            return
        folder = hub.in_cache(generator.checkpoint).folder
    else:
        folder = Path(generator.checkpoint)
    if not (folder / INDEX_FILE).is_file():
        return
    for name in needed_files(kind_of(folder), listing_of(folder)):
        if name.endswith(".safetensors"):
            check_head(folder / name)
