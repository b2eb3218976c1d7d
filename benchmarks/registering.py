"""The settings of methods, and values of the test bed alone, as hydra learns them before it composes a run's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from omegaconf import DictConfig, OmegaConf

from benchmarks.method_files import method_names, paper_values


def on_toycars(theirs: Any, others: Any, *, _root_: DictConfig) -> Any:
    """`${on_toycars:A,B}` in a YAML file: A for toycars on the embedded network, B for anything else."""
    return theirs if (_root_.data.name, _root_.model.name) == ("toycars", "embedded") else others


OmegaConf.register_new_resolver("on_toycars", on_toycars, replace=True)


def register_methods(asked: Collection[str]) -> None:
    """Hydra learns the settings of the methods asked for, and their defaults as the values of protocol=paper.

    Those of other packages have no YAML here, and are learned all.
    """
    from benchmarks.methods import METHODS, known_methods
    from ssl_aug.composition import learn

    for name, (_, schema) in known_methods().items():
        if name in METHODS and name not in asked:
            continue
        learn(schema, f"{name}_schema" if name in METHODS else name, "method")
        learn(schema, f"paper_{name}", "protocol/values")


def register_from_files(asked: Collection[str]) -> None:
    """The same of this package's methods, without their classes."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for name in sorted({*asked} & {*method_names()}):
        values = paper_values(name)
        store.store(group="method", name=f"{name}_schema", node={"name": name, **values}, package="method")
        store.store(group="protocol/values", name=f"paper_{name}", node=values, package="method")
