"""Whether the network is compiled for a set, what that takes and what it wins."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.utils.flop_counter import FlopCounterMode

from generators.anl_ldm import ANLLatentDiffusion
from generators.base import Generator
from generators.settings import SamplingSettings
from ssl_aug.data.base import LabeledSet
from ssl_aug.drawing.generator import draw
from ssl_aug.runtime import Placement, keep_compiled
from ssl_aug.synthetic import Request

BACKEND = "inductor"
PROBE_STEPS = 2
SECONDS = (
    90.0  # that compiling is taken to last: 20 to 60 were measured with 10 to 47 million weights, 4 from the cache
)
# What decides is stated, not measured, so that a set's shards, and runs that are repeated, decide alike on one machine:
# how fast the network is evaluated (1e9 operations a second, on a CPU by core), and how much faster once compiled.
RATE = {("cpu", 4): 100.0, ("cpu", 2): 150.0, ("cuda", 4): 20_000.0, ("cuda", 2): 60_000.0}
GAIN = {("cpu", 4): 1.04, ("cpu", 2): 1.45, ("cuda", 4): 1.1, ("cuda", 2): 1.2}
MOST_CORES = 16  # of a CPU that one process makes use of

Chunks = Sequence[Sequence[Request]]


@dataclass(frozen=True)
class Outlook:
    """What compiling a set's network is expected to take and to win."""

    spent: float  # seconds
    won: float  # seconds, before what is spent

    @property
    def pays_back(self) -> bool:
        return self.won > self.spent


@dataclass(frozen=True)
class Compiled:
    """A generator with a compiled network, and what was measured with the first rows."""

    generator: ANLLatentDiffusion
    rows: int  # of every chunk that it draws
    seconds: float  # that compiling took
    before: float  # seconds that a chunk took in `PROBE_STEPS` steps, not compiled
    after: float  # compiled

    def in_the_end(self, num_chunks: int) -> str:
        """What was spent and won with so many chunks, in a line."""
        sampling = self.generator.settings
        share = evaluations(sampling) / evaluations(replace(sampling, steps=PROBE_STEPS))
        won = (self.before - self.after) * share * num_chunks - self.seconds
        return (
            f"compiled in {self.seconds:.0f} s; {PROBE_STEPS} steps of {self.rows} images took {self.after:.3g} s in "
            f"place of {self.before:.3g} s: {_time(abs(won))} {'won' if won > 0 else 'lost'} in all"
        )


@dataclass(frozen=True)
class Work:
    """What there is to draw, and by what."""

    generator: Generator
    sampling: SamplingSettings  # as the set is drawn
    chunks: Chunks  # of the whole set
    labeled: LabeledSet
    place: Placement
    name: str  # of the generator
    num_shards: int = 1  # that draw the set, each with a network that it compiles for itself

    @property
    def rows(self) -> int:
        """Of every chunk once the network is compiled; of longer runs the same."""
        return max(len(chunk) for chunk in self.chunks)

    @cached_property
    def outlook(self) -> Outlook:
        """From the size of the network and of a shard of the set: of the first one, so that all shards decide alike."""
        assert isinstance(self.generator, ANLLatentDiffusion)
        at_once = giga_operations(self.generator, self.place) * evaluations(self.sampling)
        share = self.chunks[:: self.num_shards]
        images = sum(len(chunk) for chunk in share)
        return outlook(at_once * images, at_once * self.rows * len(share), self.place)


def outlook(operations: float, compiled_operations: float, place: Placement, cores: int | None = None) -> Outlook:
    """What compiling is expected to take and to win.

    Args:
        operations, compiled_operations: 1e9 of them, of all images; compiled, small chunks are filled up.
        cores: None: the machine's.
    """
    many = min(MOST_CORES, cores or os.cpu_count() or 1) if place.device.type == "cpu" else 1
    rate = RATE[place.device.type, place.dtype.itemsize] * many
    return Outlook(SECONDS, (operations - compiled_operations / gain(place)) / rate)


def gain(place: Placement) -> float:
    """How many times as fast a compiled network is expected to be evaluated."""
    return GAIN[place.device.type, place.dtype.itemsize]


def evaluations(sampling: SamplingSettings) -> int:
    """Of the network for one image."""
    return max(1, round(sampling.strength * sampling.steps)) * (1 if sampling.guidance == 1 else 2)


def giga_operations(generator: ANLLatentDiffusion, place: Placement) -> float:
    """1e9 multiplications and additions of one evaluation for one image."""
    model = generator.model
    latents = model.null_token.new_zeros(1, *generator.latent_shape)
    token = model.null_token.new_zeros(1, 1, int(model.unet.config.cross_attention_dim))
    with FlopCounterMode(display=False) as counter, torch.no_grad(), place.autocast():
        model.predict(latents, torch.zeros((), dtype=torch.long), token)
    return counter.get_total_flops() / 1e9


def is_wanted(asked: str, begun: bool | None, work: Work) -> bool:
    """Whether the network is to be compiled.

    Args:
        asked: the setting `compile`.
        begun: how the set was begun; None: it was not.

    Raises:
        ValueError: a set that was begun the other way, or a generator without such a network.
    """
    if not isinstance(work.generator, ANLLatentDiffusion):
        if asked == "true":
            raise ValueError(f"compile=true has no effect on generator={work.name}: leave it out")
        return False
    if begun is None:
        return asked == "true" or (asked == "auto" and work.outlook.pays_back)
    if asked != "auto" and (asked == "true") != begun:
        way = "with" if begun else "without"
        raise ValueError(
            f"compile={asked}: this set was begun {way} compile, and goes on that way: leave it out, or draw another "
            "set with synthetic.root (generate: --out)"
        )
    return begun


def settled(asked: str, begun: bool | None, work: Work) -> Compiled | None:
    """The generator with a compiled network where it is to be; None where the network stays as it is.

    Raises:
        ValueError: as `is_wanted`; or PyTorch cannot compile here, and compile=true or the set asks for it.
    """
    if not is_wanted(asked, begun, work):
        return None
    assert isinstance(work.generator, ANLLatentDiffusion)
    kept, hoped = keep_compiled(), work.outlook
    print(
        f"compile={asked}: compiling takes about {_time(hoped.spent)} once (kept in {kept}), expected to win "
        f"{_time(max(0.0, hoped.won))} of {'the whole set' if work.num_shards == 1 else 'what a shard draws'}",
        file=sys.stderr,
        flush=True,
    )
    try:
        return _compiled(work.generator, work)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        why = " ".join(str(error).split("\n\n")[0].split())[:200]
        no_compiler = f"PyTorch cannot compile here ({why})"
        if begun:
            raise ValueError(
                f"this set was begun with compile, and {no_compiler}: install a C++ compiler (CXX names one), or draw "
                "another set with synthetic.root (generate: --out)"
            ) from error
        if asked == "true":
            raise ValueError(
                f"compile=true: {no_compiler}: install a C++ compiler (CXX names one), or leave it out"
            ) from error
        print(f"{no_compiler}: drawn without; a C++ compiler (CXX names one) makes it faster", file=sys.stderr)
        return None


def _compiled(generator: ANLLatentDiffusion, work: Work) -> Compiled:
    """Compiles by drawing a chunk in few steps, as it will be drawn."""

    def seconds(drawing: ANLLatentDiffusion) -> float:
        start = time.perf_counter()
        draw(drawing, work.chunks[0], work.labeled, work.place, work.rows)
        return time.perf_counter() - start

    torch.compiler.reset()  # of earlier sets' networks: after eight PyTorch compiles no more, without an error
    compiled = generator.compiled(BACKEND)
    before, quick = generator.in_steps(PROBE_STEPS), compiled.in_steps(PROBE_STEPS)
    first, second = seconds(before), seconds(before)  # the first call also sets up kernels
    with in_silence():
        with_compiling, after = seconds(quick), seconds(quick)
    return Compiled(compiled, work.rows, max(0.0, with_compiling - after), min(first, second), after)


@contextmanager
def in_silence() -> Iterator[None]:
    """Without what PyTorch says to its own developers."""
    logger = logging.getLogger("torch.utils.cpp_extension")  # that there is no CUDA, on a machine without a GPU
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # diffusers asks for PyTorch's version through a cache that the compiler looks through
            warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
            yield
    finally:
        logger.setLevel(level)


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
