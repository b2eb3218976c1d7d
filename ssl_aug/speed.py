"""python -m ssl_aug.speed [flags] [name=value ...]

Measures how fast drawing, tuning and training are on this machine, each beside the plain way by turns in one run, and
how long the paper's run would take here, stage by stage. No weights and no data are needed: networks are random.

  --out FILE   JSON file of all figures (out); by default a new one in outputs/speed
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.command_line import compose
from ssl_aug.help import fields_of, rows
from ssl_aug.runtime import command
from ssl_aug.speeds.settings import SpeedSettings
from ssl_aug.words import overrides_of

FLAGS = {"--out": "out", "--device": "device"}
SETTINGS = Path(__file__).parent / "speeds" / "settings.py"


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        print("\n".join([(__doc__ or "").strip(), "", *rows("", fields_of(SETTINGS, "SpeedSettings"))]))
        return
    settings = compose("speed", overrides_of(arguments, FLAGS, {}), SpeedSettings)
    from ssl_aug.speeds.making import measure_speed

    measure_speed(settings)


if __name__ == "__main__":
    command(main, after_interrupt="nothing is kept of a measurement", memory="give paper=false, networks=embedded")
