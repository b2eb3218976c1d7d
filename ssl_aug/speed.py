"""python -m ssl_aug.speed [flags] [name=value ...]

Measures how fast drawing, tuning and training are on this machine, each beside the plain way by turns in one run, and
how long the paper's run would take here, stage by stage. Networks are random, so that no weights are needed.

rounds=1 jobs=drawing paper=false is the shortest: seconds.

  --out FILE         JSON file of all figures (out); by default a new one in outputs/speed
  --device NAME      auto, cpu or cuda (device)
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.command_line import compose
from ssl_aug.help import DATA_SETTINGS, fields_of, options_of, rows
from ssl_aug.runtime import command
from ssl_aug.speeds.settings import SpeedSettings
from ssl_aug.words import overrides_of

FLAGS = {"--out": "out", "--device": "device"}
SETTINGS = Path(__file__).parent / "speeds" / "settings.py"


def main(arguments: list[str]) -> None:
    """The command line."""
    if "--help" in arguments or "-h" in arguments:
        own = rows("", fields_of(SETTINGS, "SpeedSettings"))
        of_data = rows("data.", fields_of(DATA_SETTINGS, "DataSettings"), skip=("name",))
        print("\n".join([(__doc__ or "").strip(), "", f"  data={'|'.join(options_of('data'))}", *own, *of_data]))
        return
    settings = compose("speed", overrides_of(arguments, FLAGS, {}), SpeedSettings)
    from ssl_aug.speeds.making import measure_speed

    measure_speed(settings)


if __name__ == "__main__":
    command(main, after_interrupt="the same command measures anew", memory="give paper=false, networks=embedded")
