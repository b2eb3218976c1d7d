"""python -m benchmarks.run method=fixmatch augment=true: trains one method on one split; `--help` lists the
settings.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from benchmarks.method_facts import METHOD_ENTRY_POINTS, MethodFacts
from benchmarks.method_files import facts_in_file
from benchmarks.registering import register_from_files, register_methods
from benchmarks.settings import BenchmarkSettings
from ssl_aug.allowed import user_path
from ssl_aug.command_line import compose
from ssl_aug.data import hf_library
from ssl_aug.endings import MEMORY_OF_TRAINING
from ssl_aug.help import without_help
from ssl_aug.runtime import command
from ssl_aug.settings import EMBEDDED_DATA
from ssl_aug.synthetic import with_words_of_set
from ssl_aug.words import settled, values_of, way_out_of_flag

# On the command line beside resume=: where the work runs may differ from the first time, what is done may not.
ALLOWED_WITH_RESUME = ("resume", "device", "data.root", "synthetic.root", "train.num_workers", "dry_run")


def main(words: list[str]) -> None:
    """Runs what the words of a command line ask for."""
    if "--help" in words or "-h" in words:
        from benchmarks.help import help_text

        others = without_help(words)
        print(help_text(settings_from(others, from_files=True) if others else None))
        return
    words = ["dry_run=true" if word == "--dry-run" else word for word in words]
    of_each_run = [word for word in words if word not in ("--multirun", "-m")]
    if of_each_run != words:
        _refuse_flags(of_each_run)
        of_each_run = settled(of_each_run, BenchmarkSettings, of_grid=True)
        if is_plain_dry_run(of_each_run) and not any(word.startswith("hydra") for word in of_each_run):
            from benchmarks.grid_plan import foretell_grid

            foretell_grid(of_each_run, settings_from)
            return
        from benchmarks.sweep import sweep

        sweep(of_each_run, settings_from)
        return
    if is_plain_dry_run(words):
        settings = settings_from(words, from_files=True)
        print_plan(settings, facts_in_file(settings.method["name"]))
        return
    settings = settings_from(words)
    if settings.dry_run:
        from benchmarks.methods import facts_of

        print_plan(settings, facts_of(settings.method))
    else:
        from benchmarks.single_run import run

        run(settings)


def print_plan(settings: BenchmarkSettings, method: MethodFacts) -> None:
    """What a dry run shows."""
    from benchmarks.plan import dry_run_text

    print(dry_run_text(settings, method))


def is_plain_dry_run(words: list[str]) -> bool:
    """Whether a dry run says nothing that only a method's own class can check, which takes torch to import."""
    own = any(word.startswith(("method.", "resume=")) for word in words)
    return "dry_run=true" in words and not own and not entry_points(group=METHOD_ENTRY_POINTS)


def settings_from(words: list[str], from_files: bool = False) -> BenchmarkSettings:
    """The settings that a command line asks for; those of the stopped run if it says `resume=`.

    Args:
        from_files: take the methods' settings from what their files say; they are then a dictionary with the
            method's name, its values not checked.

    Raises:
        ValueError: an unknown option, name or value.
    """
    _refuse_flags(words)
    words = settled(words, BenchmarkSettings)
    _refuse_generation_words(words)
    (register_from_files if from_files else register_methods)(_methods_in(words))
    folder = next((values_of(word)[0] for word in words if word.startswith("resume=")), None)
    if not folder:
        words = with_words_of_set(words, BenchmarkSettings)
        settings = compose("benchmark", words, BenchmarkSettings)
        _refuse_accidental_toy(settings, words)
        hf_library.refuse_at_once(settings.data)
        return settings
    refused = next((word for word in words if word.partition("=")[0] not in ALLOWED_WITH_RESUME), None)
    if refused:
        raise ValueError(
            f"{refused}: resume= goes on with the settings of {folder}; beside it only "
            f"{', '.join(ALLOWED_WITH_RESUME[1:])} may be given"
        )
    from benchmarks.run_folder import saved_settings

    return saved_settings(user_path(str(folder)), words)


def _refuse_flags(words: list[str]) -> None:
    option = next((word for word in words if word.startswith("-")), None)
    if option:
        following = words[words.index(option) + 1 :]
        raise ValueError(f"{option}: there is no such option; {way_out_of_flag(option, following, ())}")


def _refuse_generation_words(words: list[str]) -> None:
    """Settings of the generator whose names sound like training: without effect here, so most likely a slip."""
    augmented = any(word.startswith("augment=") and "true" in word.lower() for word in words)
    for name, value in (word.split("=", 1) for word in words if "=" in word):
        if name == "batch_size" or (name == "steps" and not augmented):
            raise ValueError(
                f"{name}={value}: that is the generator's and has no effect here, use train.{name}={value}"
            )


def _refuse_accidental_toy(settings: BenchmarkSettings, words: list[str]) -> None:
    """The embedded backbone and CLIP are the defaults, and know rendered cars alone: else they must be asked for."""
    if settings.data.name in EMBEDDED_DATA:
        return
    asked = {word.partition("=")[0] for word in words}
    method = settings.method
    clip = method.get("clip") if isinstance(method, dict) else getattr(method, "clip", None)  # few methods have one
    if clip is not None:
        if clip == "embedded" and "method.clip" not in asked:
            raise ValueError(
                f"data={settings.data.name} wants a method.clip=: open_clip's name of a model, such as "
                "ViT-B-32-quickgelu, or a generator's checkpoint, whose CLIP it is, or embedded, which knows rendered "
                "cars alone"
            )
    elif settings.model.name == "embedded" and not asked & {"model", "model.name"}:
        raise ValueError(
            f"data={settings.data.name} wants a model=: resnet50 (ImageNet weights, fetched where there is a network, "
            "or model.checkpoint=FILE), any of timm's by model.name=NAME model.pretrained=true, or embedded, which "
            "knows rendered cars alone"
        )


def _methods_in(words: list[str]) -> set[str]:
    """The method that is asked for, and the default one."""
    return {"erm", *(str(value) for word in words if word.startswith("method=") for value in values_of(word))}


if __name__ == "__main__":
    command(main, "a grid goes on with the same command, a single run with resume=", MEMORY_OF_TRAINING)
