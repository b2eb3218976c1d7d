"""python -m benchmarks.run method=fixmatch augment=true: trains one method on one split; `--help` lists the
settings.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.settings import BenchmarkSettings
from ssl_aug.command_line import compose, writable
from ssl_aug.runtime import command

# On the command line beside resume=: where the work runs may differ from the first time, what is done may not.
ALLOWED_WITH_RESUME = ("resume", "device", "data.root", "synthetic.root", "train.num_workers", "dry_run")


def main(words: list[str]) -> None:
    """Runs what the words of a command line ask for."""
    if "--help" in words or "-h" in words:
        from benchmarks.help import help_text

        print(help_text())
        return
    words = ["dry_run=true" if word == "--dry-run" else word for word in words]
    of_each_run = [word for word in words if word not in ("--multirun", "-m")]
    if of_each_run != words:
        from benchmarks.sweep import sweep

        sweep(of_each_run, settings_from)
        return
    settings = settings_from(words)
    if settings.dry_run:
        from benchmarks.plan import plan_run, plan_text

        print(plan_text(plan_run(settings)))
    else:
        from benchmarks.single_run import run

        run(settings)


def settings_from(words: list[str]) -> BenchmarkSettings:
    """The settings that a command line asks for; those of the stopped run if it says `resume=`.

    Raises:
        ValueError: an unknown option, name or value.
    """
    option = next((word for word in words if word.startswith("-")), None)
    if option:
        raise ValueError(f"{option}: there is no such option; settings are written name=value, see --help")
    _refuse_generation_words(words)
    _register_methods()
    folder = next((word.partition("=")[2] for word in words if word.startswith("resume=")), "null")
    if folder in ("null", ""):
        return compose("benchmark", words, BenchmarkSettings)
    refused = next((word for word in words if word.partition("=")[0] not in ALLOWED_WITH_RESUME), None)
    if refused:
        raise ValueError(
            f"{refused}: resume= goes on with the settings of {folder}; beside it only "
            f"{', '.join(ALLOWED_WITH_RESUME[1:])} may be given"
        )
    from benchmarks.run_folder import saved_settings

    return saved_settings(Path(folder), words)


def _refuse_generation_words(words: list[str]) -> None:
    """Settings of the generator whose names sound like training: without effect here, so most likely a slip."""
    augmented = any(word.startswith("augment=") and "true" in word.lower() for word in words)
    for name, value in (word.split("=", 1) for word in words if "=" in word):
        if name == "batch_size" or (name == "steps" and not augmented):
            raise ValueError(
                f"{name}={value}: that is the generator's and has no effect here, use train.{name}={value}"
            )


def _register_methods() -> None:
    """Hydra learns each method's settings, and their defaults as the values of protocol=paper."""
    from hydra.core.config_store import ConfigStore

    from benchmarks.methods import METHODS, known_methods

    store = ConfigStore.instance()
    for name, (_, schema) in known_methods().items():
        own = f"{name}_schema" if name in METHODS else name  # a method of another package has no YAML here
        store.store(group="method", name=own, node=writable(schema), package="method")
        store.store(group="protocol/values", name=f"paper_{name}", node=writable(schema), package="method")


if __name__ == "__main__":
    command(main, "a grid goes on with the same command, a single run with resume=")
