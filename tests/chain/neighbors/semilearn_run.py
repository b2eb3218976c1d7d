"""Run by test_neighbors.py in a process of its own: USB's library on one of our exports and on live objects.

The library's release does not import beside today's packages: what it never uses here is replaced by empty modules,
and .cuda(), which it calls whatever the device, by nothing.

    python semilearn_run.py FOLDER_OF_THE_LIBRARY EXPORT [words of ssl_aug.generate]
"""

from __future__ import annotations

import importlib.machinery
import json
import sys
from types import ModuleType
from typing import Any

import torch

STUBS = (
    "torchaudio", "skimage", "skimage.util", "wandb", "aim", "transformers", "transformers.file_utils",
    "transformers.tokenization_utils_base", "transformers.data", "transformers.data.data_collator",
    "torch.utils.tensorboard",
)  # fmt: skip


class Anything(ModuleType):
    """A module that holds whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class Stopwatch:
    """Takes no time: in the place of a GPU's events."""

    def __init__(self, **_: Any):
        pass

    def record(self) -> None:
        pass

    def elapsed_time(self, _: Any) -> float:
        return 0.0


def stub() -> None:
    for name in STUBS:
        module = Anything(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__path__ = []
        sys.modules[name] = module
    for kind in (torch.Tensor, torch.nn.Module):
        kind.cuda = lambda self, *_, **__: self
    for name in ("set_device", "synchronize"):
        setattr(torch.cuda, name, lambda *_: None)
    torch.cuda.Event = Stopwatch


def main(library: str, export: str, words: list[str]) -> None:
    sys.path.append(library)
    stub()
    from pathlib import Path

    from semilearn import Trainer, get_algorithm, get_config, get_data_loader, get_dataset, get_net_builder
    from torchvision import transforms

    classes = json.loads((Path(export) / "classes.json").read_text(encoding="utf-8"))
    said: dict[str, Any] = {}

    def config_of(algorithm: str, **more: Any) -> Any:
        return get_config({
            "algorithm": algorithm, "net": "wrn_28_2", "dataset": "semi_aves", "num_classes": len(classes),
            "img_size": 32, "crop_ratio": 0.875, "epoch": 1, "num_train_iter": 3, "num_eval_iter": 3,
            "num_log_iter": 3, "batch_size": 4, "eval_batch_size": 8, "uratio": 1, "num_workers": 0, "amp": False,
            "distributed": False, "gpu": 0, "save_dir": f"{export}/../saved", "use_tensorboard": False, **more,
        })  # fmt: skip

    def trained(algorithm: str, labeled: Any, unlabeled: Any, test: Any, **more: Any) -> bool:
        """Whether three steps have moved every weight's sum."""
        config = config_of(algorithm, save_name=algorithm, **more)
        config.ulb_dest_len = len(unlabeled)
        algorithm_object = get_algorithm(config, get_net_builder(config.net, from_name=False), None, None)
        before = {name: p.detach().clone() for name, p in algorithm_object.model.named_parameters()}
        loaders = (
            get_data_loader(config, labeled, config.batch_size),
            get_data_loader(config, unlabeled, config.batch_size),
            get_data_loader(config, test, config.eval_batch_size, data_sampler=None, drop_last=False),
        )
        Trainer(config, algorithm_object).fit(*loaders)
        moved = [not torch.equal(p, before[name]) for name, p in algorithm_object.model.named_parameters()]
        return sum(moved) > 0.9 * len(moved)

    readme = (Path(export) / "README.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(readme.partition("```python\n")[2].partition("```")[0], names)  # the lines that the export gives its user
    said["by_readme"] = [len(names[name]) for name in ("labeled", "unlabeled", "test")]

    config = config_of("fixmatch", data_dir=f"{export}/augmented")
    data = get_dataset(config, "fixmatch", "semi_aves", 4, len(classes), f"{export}/augmented", False)
    labeled, unlabeled, test = data["train_lb"], data["train_ulb"], data["eval"]
    said["labels"] = [int(labeled.targets[i]) for i in range(len(labeled))]
    said["test_labels"] = [int(target) for target in test.targets]
    said["num_unlabeled"] = len(unlabeled)
    said["num_classes"] = int(labeled.num_classes)
    said["pixel_sums"] = [int(sum(labeled.__sample__(i)[0].tobytes())) for i in range(len(labeled))]
    said["fixmatch_moved"] = trained("fixmatch", labeled, unlabeled, test, data_dir=config.data_dir)

    if words:
        from ssl_aug.export.live import load, semilearn_datasets

        resized = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
        live = semilearn_datasets(load(*words), "flexmatch", resized, resized, resized)
        said["live_labels"] = [int(target) for target in live[0].targets]
        said["live_item"] = sorted(live[1][0])
        said["flexmatch_moved"] = trained("flexmatch", *live, dataset="none")
    print("RESULT " + json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
