"""python -m ssl_aug.export --to TARGET --out DIR [flags] [name=value ...]

Writes the labeled set with its synthetic images, the unlabeled and the test images in the form that another codebase
reads; README.md in DIR holds the lines that load it.

  --to TARGET      folder (torchvision and its like), lists (TLlib), usb (semilearn), numpy, hf (Hugging Face datasets)
                   or webdataset
  --out DIR        a new folder
  --real-only      without the synthetic images: nothing need be drawn
  --link L         copy the image files (default), or link them: hard or symbolic
  --size N         numpy: pixels of the arrays' images; without it the synthetic images' own
  --tllib-seed N   lists: the --seed of the TLlib run that replays the draw (0)
  --check          read the export back and compare it, image by image

The settings are those of ssl_aug.generate: they say which split and which set. Of a finished set its folder says them
all: synthetic.root=DIR.
"""

from __future__ import annotations

from ssl_aug.command_line import compose
from ssl_aug.data import hf_library
from ssl_aug.export.settings import ExportSettings
from ssl_aug.help import generation_help
from ssl_aug.runtime import command
from ssl_aug.synthetic import with_words_of_set
from ssl_aug.words import overrides_of

FLAGS = {"--to": "to", "--out": "out", "--link": "link", "--size": "size", "--tllib-seed": "tllib_seed"}
SWITCHES = {"--real-only": "real_only", "--check": "check", "--dry-run": "dry_run"}


def main(words: list[str]) -> None:
    """The command line."""
    if "--help" in words or "-h" in words:
        print(generation_help(__doc__ or ""))
        return
    said = with_words_of_set(overrides_of(words, FLAGS, SWITCHES), ExportSettings)
    settings = compose("export", said, ExportSettings)
    hf_library.refuse_at_once(settings.data)
    from ssl_aug.export.writing import export

    export(settings)


if __name__ == "__main__":
    command(main, memory="give a lower --size, or --to folder, which holds no images in memory")
