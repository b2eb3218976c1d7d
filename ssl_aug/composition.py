"""A command's tree by hydra.

What it makes of the chosen groups is kept: a grid chooses the same ones in every run, with other values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

Stored = tuple[tuple[str, Any], ...]  # what hydra has learned: names, and types or contents


def writable(schema: type) -> Any:
    """A schema that hydra can compose into: OmegaConf makes frozen dataclasses read-only, before they are settled."""
    node = OmegaConf.structured(schema)
    unlocked = [node]
    while unlocked:
        config = unlocked.pop()
        OmegaConf.set_readonly(config, None)
        values = (config[name] for name in config if not OmegaConf.is_missing(config, name))
        unlocked += [value for value in values if isinstance(value, DictConfig)]
    return node


def learn(schema: type, name: str, group: str | None = None) -> None:
    """Hydra learns a schema by a name, at the top of the tree or in a group, unless it knows it."""
    place = ConfigStore.instance().repo
    for part in group.split("/") if group else ():
        place = place.get(part, {})
    known = place.get(f"{name}.yaml")
    if not isinstance(known, ConfigNode) or OmegaConf.get_type(known.node) is not schema:
        package = "method" if group else None
        ConfigStore.instance().store(group=group, name=name, node=writable(schema), package=package)


def tree_of(config_name: str, words: Sequence[str], folder: Path) -> DictConfig:
    """As `hydra.compose` gives it.

    Args:
        folder: of the YAML files.

    Raises:
        HydraException, OmegaConfBaseException, OverflowError: words that do not fit.
    """
    parsed = OverridesParser.create().parse_overrides(list(words))
    values = [one for one in parsed if not _is_of_group(one, folder)]
    if any(one.is_sweep_override() or one.is_delete() or one.is_add() or one.package for one in values):
        return _by_hydra(config_name, words, folder)
    chosen = tuple(word for word, one in zip(words, parsed, strict=True) if one not in values)
    try:
        config = deepcopy(_of_groups(config_name, chosen, folder, tuple(_stored(ConfigStore.instance().repo))))
        for one in values:
            OmegaConf.update(config, one.key_or_group, one.value(), merge=True, force_add=one.is_force_add())
        return config
    except (HydraException, OmegaConfBaseException, OverflowError):
        return _by_hydra(config_name, words, folder)  # which names the word


@lru_cache(maxsize=256)
def _of_groups(config_name: str, chosen: tuple[str, ...], folder: Path, stored: Stored) -> DictConfig:
    return _by_hydra(config_name, chosen, folder)


def _by_hydra(config_name: str, words: Sequence[str], folder: Path) -> DictConfig:
    with initialize_config_dir(str(folder), version_base="1.3"):
        return compose(config_name, overrides=list(words))


def _is_of_group(one: Override, folder: Path) -> bool:
    group = one.key_or_group
    return (folder / group).is_dir() or isinstance(ConfigStore.instance().repo.get(group), dict)


def _stored(repo: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What is stored, without hydra's own."""
    for name, node in repo.items():
        if isinstance(node, ConfigNode):
            kind = OmegaConf.get_type(node.node)
            yield f"{prefix}{name}", str(node.node) if kind is dict else kind
        elif prefix or name != "hydra":
            yield from _stored(node, f"{prefix}{name}/")
