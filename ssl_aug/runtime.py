"""Where the work runs: device, precision, shard, seeds, exit codes."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generators.allowed import user_path
from ssl_aug.endings import CLOSED_PIPE, ending, nobody_reads, tell_torchrun
from ssl_aug.interrupts import EXIT_CODE, GOES_ON, KEPT, raised_in_main
from ssl_aug.progress import reporting

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from torch import nn


def command(main: Callable[[list[str]], None], after_interrupt: str = GOES_ON, memory: str = "") -> None:
    """Runs a command line: exit code 0 done, 2 the user's mistake, 1 ours (one line on stderr), 130 interrupted.

    With SSL_AUG_DEBUG=1 the traceback is shown as well. Where nobody reads the output any more it ends in silence.

    Args:
        after_interrupt: how interrupted work goes on.
        memory: which settings take less of it, for the line where there is too little.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an ASCII terminal must not stop a table
    try:
        with raised_in_main(f"{KEPT}, {after_interrupt}"):
            settle_home()
            main(sys.argv[1:])
            sys.stdout.flush()  # here, where a closed pipe is no error
    except KeyboardInterrupt:
        print(f"{KEPT}, {after_interrupt}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            sys.exit(CLOSED_PIPE)
        if is_debugging():
            raise
        code, line = ending(error, memory)
        print(f"error: {line}", file=sys.stderr)
        tell_torchrun(f"error: {line}", os.environ.get("TORCHELASTIC_ERROR_FILE"))
        sys.exit(code)


def is_debugging() -> bool:
    """Whether tracebacks are asked for."""
    return bool(os.environ.get("SSL_AUG_DEBUG"))


def let_hydra_raise() -> None:
    """What fails in hydra's own launchers reaches us, in place of a traceback and an exit."""
    os.environ["HYDRA_FULL_ERROR"] = "1"


def why_nothing_is_fetched() -> str | None:
    """What keeps weights from being fetched from the hub, and the way out; None where nothing does."""
    from generators.network import how_to_fetch, may_fetch  # the hub's library, which --help does without

    return None if may_fetch() else how_to_fetch()


# ---------------------------------------------------------------------------------------------------------------------
# device and precision


@dataclass(frozen=True)
class Placement:
    """A device and the type that matrix products are computed in there."""

    device: torch.device
    dtype: torch.dtype

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for the code inside; nothing in float32."""
        import torch

        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            yield


def placement(device: str, precision: str) -> Placement:
    """Resolves `device` and `precision`, both of which may be "auto".

    auto is bfloat16 on a GPU that has it and on a CPU with bfloat16 matrix units (AMX), float32 on any other.

    Raises:
        ValueError: a GPU is asked for and there is none, or a precision that the device cannot compute in.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda: PyTorch sees no GPU here; use device=cpu, or check the driver with nvidia-smi")
    _refuse_fp16(device, precision)
    if precision == "auto":
        precision = "bf16" if has_bfloat16_units(device) else "fp32"
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return Placement(
        torch.device(device, int(os.environ.get("LOCAL_RANK", "0"))) if device == "cuda" else torch.device(device),
        dtype,
    )


def refuse_place(device: str, precision: str) -> None:
    """What `placement` refuses, for a dry run: torch is loaded only where it depends on whether there is a GPU.

    Raises:
        ValueError: as `placement`.
    """
    _refuse_fp16(device, precision)
    if device == "cuda" or (device == "auto" and precision == "fp16"):
        placement(device, precision)


def _refuse_fp16(device: str, precision: str) -> None:
    if precision == "fp16" and device == "cpu":
        raise ValueError("precision=fp16: a CPU does not compute in it; use bf16 or fp32")


def has_bfloat16_units(device: str) -> bool:
    """Whether the machine multiplies matrices in bfloat16 faster than in float32: a GPU that has it, a CPU with AMX."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported())


def name_of(device: torch.device) -> str:
    """The GPU's name, or how many threads a CPU computes with."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu, {torch.get_num_threads()} threads"


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was given: a GPU's calls return before."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def name_of_precision(dtype: torch.dtype) -> str:
    """fp32, bf16 or fp16."""
    import torch

    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def accelerator_of(place: Placement) -> Accelerator:
    """accelerate's engine for this device and type: one process, or all that torchrun started.

    Raises:
        ValueError: RANK and WORLD_SIZE say that there are several, and torchrun did not start them.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    if os.environ.get("WORLD_SIZE", "1") != "1" and "MASTER_ADDR" not in os.environ:
        raise ValueError(
            "there are no tuned weights yet, and processes with RANK and WORLD_SIZE of their own cannot share it: "
            "run python -m ssl_aug.tune with the same settings first, alone or under torchrun"
        )

    # the engine's state is the process's: one of another type, of an earlier call, would be refused
    AcceleratorState._reset_state(reset_partial_state="WORLD_SIZE" not in os.environ)
    precision = {torch.float32: "no", torch.bfloat16: "bf16", torch.float16: "fp16"}[place.dtype]
    return Accelerator(cpu=place.device.type == "cpu", mixed_precision=precision)


def keep_frozen_weights_low(network: nn.Module, dtype: torch.dtype) -> None:
    """Keeps the frozen convolutions and matrices of a network in the type that autocast computes them in.

    They are the very numbers that autocast makes of them at each use, in half the memory. Norms stay as they are.
    """
    from torch import nn

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.requires_grad:
            layer.to(dtype)


def dtype_of(accelerator: Accelerator) -> torch.dtype:
    """What the engine computes in."""
    import torch

    return {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[accelerator.mixed_precision]


def shard(asked: str | None) -> tuple[int, int]:
    """(this process, number of processes): from torchrun, then where it is asked for from a Slurm array, else (0, 1).

    Args:
        asked: the setting `shard`: "slurm", or None where a Slurm array is of other things, such as seeds.

    Raises:
        ValueError: a rank that is none of the processes', or an array with gaps, or none.
    """
    if "WORLD_SIZE" in os.environ:
        given = os.environ.get("RANK", "0"), os.environ["WORLD_SIZE"]
        if not all(number.isdecimal() for number in given) or int(given[0]) >= int(given[1]):
            raise ValueError(f"RANK={given[0]}, WORLD_SIZE={given[1]}: give ranks 0 to WORLD_SIZE - 1, or unset both")
        return int(given[0]), int(given[1])
    if asked == "slurm":
        if not is_task_of_array():
            raise ValueError("shard=slurm: this is no task of a Slurm array, submit with --array=0-N or leave it out")
        first, step = (
            int(os.environ.get(f"SLURM_ARRAY_TASK_{name}", default)) for name, default in (("MIN", 0), ("STEP", 1))
        )
        rank, count = (
            (int(os.environ["SLURM_ARRAY_TASK_ID"]) - first) // step,
            int(os.environ["SLURM_ARRAY_TASK_COUNT"]),
        )
        if rank >= count:
            raise ValueError("a Slurm array with gaps leaves work undone: use --array=0-N or one with a constant step")
        return rank, count
    return 0, 1


def is_task_of_array() -> bool:
    """Whether a Slurm array started this process, beside others."""
    return os.environ.get("SLURM_ARRAY_TASK_COUNT", "1") != "1"


def is_first_process() -> bool:
    """Whether what is told once is told by this process: of those that torchrun started the first."""
    return os.environ.get("RANK", "0") == "0"


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from anything that prints; the same parts give the same seed on every machine."""
    digest = hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


# ---------------------------------------------------------------------------------------------------------------------
# files


def cache_folder() -> Path:
    """$SSL_AUG_CACHE, else the user's cache folder."""
    settle_home()
    chosen = os.environ.get("SSL_AUG_CACHE")
    return user_path(chosen or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/ssl_aug")


def keep_compiled() -> Path:
    """Where PyTorch keeps what it compiled, for later processes: $TORCHINDUCTOR_CACHE_DIR, else below our cache."""
    given = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    # and the user's name: its import sets it where nobody did
    of_pytorch = Path(tempfile.gettempdir()) / "torchinductor_"
    if given is None or given.startswith(str(of_pytorch)):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache_folder() / "inductor")
    return Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])


def settle_home() -> None:
    """An account without a home folder gets one below the temporary folder, for our cache and other libraries'."""
    try:
        Path.home()
    except RuntimeError:
        folder = Path(tempfile.gettempdir()) / f"ssl_aug-home-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise ValueError(f"this account has no home folder, and {folder} is another's: set HOME") from None
        os.environ["HOME"] = str(folder)
        os.environ.setdefault("USER", str(os.getuid()))  # libraries ask for a name, and there is none either
        print(
            f"this account has no home folder: caches lie in {folder}, or in $SSL_AUG_CACHE, $HF_HOME", file=sys.stderr
        )


@contextmanager
def progress_bar(total: int, label: str, initial: int = 0, hidden: bool = False, unit: str = "image") -> Iterator[Any]:
    """A bar with an ETA and units a second; without a terminal one line every 30 seconds.

    It also tells whom `progress.told_to` names.
    """
    from tqdm import tqdm

    interval = 0.2 if sys.stderr.isatty() else 30.0
    with tqdm(
        total=total,
        desc=label,
        initial=initial,
        mininterval=interval,
        maxinterval=interval + 10,
        disable=hidden,
        unit=unit,
    ) as bar:
        yield bar if hidden else reporting(bar, total, label, initial)
