"""python -m ssl_aug.pretrain [name=value ...]

Makes the embedded world's models again, from nothing: draws the source world, trains the classifier backbone, the
autoencoder, the image-text model, the UNet and once more the decoder, and writes them to `out`. A stopped run goes on
where it stopped when the same command is given again; a part whose weights are in `out` is not trained again.
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.command_line import compose
from ssl_aug.help import fields_of, rows
from ssl_aug.pretrain.settings import PretrainSettings
from ssl_aug.runtime import command
from ssl_aug.words import overrides_of

SETTINGS = Path(__file__).parent / "settings.py"


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print("\n".join([(__doc__ or "").strip(), "", *rows("", fields_of(SETTINGS, "PretrainSettings"))]))
        return
    settings = compose("pretrain", overrides_of(arguments, {}, {}), PretrainSettings)
    from ssl_aug.pretrain.stages import pretrain

    pretrain(settings)


if __name__ == "__main__":
    command(main, memory="lower autoencoder_batch_size, clip_batch_size, unet_batch_size or num_images")
