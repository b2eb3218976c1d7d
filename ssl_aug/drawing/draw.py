"""Draws a synthetic set, or what is missing of it: split, tuning (once), chunk after chunk, merge."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from generators.settings import TUNED
from ssl_aug.data.base import Dataset, LabeledSet, Split
from ssl_aug.drawing.compiling import Work, settled
from ssl_aug.drawing.contact_sheet import write_contact_sheet
from ssl_aug.drawing.foretold import folder_of, refuse_nothing_to_borrow
from ssl_aug.drawing.generator import draw, encode_png, facts_of, make_generator, make_scorer
from ssl_aug.drawing.lenders import lenders_of
from ssl_aug.drawing.record import dataset_card, identity
from ssl_aug.drawing.verdict import SIZE, first_to_draw, in_numbers, verdict
from ssl_aug.freed_memory import keep_freed_memory
from ssl_aug.lock import forget_dead, locked
from ssl_aug.made_by import command_of, write_command
from ssl_aug.reporting.looks import read_looks
from ssl_aug.runtime import Placement, is_task_of_array, placement, progress_bar, shard
from ssl_aug.settings import Settings
from ssl_aug.synthetic import (
    PLACES,
    Request,
    SetWriter,
    SyntheticSet,
    begun_compiled,
    make_chunks,
    make_requests,
    places_of,
)
from ssl_aug.tuning.plan import TuningPlan, plan_tuning
from ssl_aug.versions import versions


def draw_set(settings: Settings, dataset: Dataset, split: Split) -> SyntheticSet | None:
    """Draws the set that the settings name, or what is missing of it; None while other shards still draw.

    Args:
        dataset, split: those that `settings.data` describes.

    Raises:
        ValueError, OSError: bad settings or data, or a folder that holds something else; nothing is overwritten.
    """
    assert not settings.dry_run
    refuse_nothing_to_borrow(settings.sampling(), split.labeled)
    place = placement(settings.device, settings.precision)
    plan = plan_tuning(settings, dataset, split) if settings.generator.name in TUNED else None
    folder = folder_of(settings, split.labeled)
    requests = make_requests(split.labeled, settings.per_sample, settings.seed)
    chunks = make_chunks(requests, settings.batch_size)
    rank, world_size = shard(settings.shard)
    if is_task_of_array() and world_size == 1:
        print(f"{folder}: this task of a Slurm array draws the whole set; shard=slurm shares it", file=sys.stderr)
    with locked(folder, "drawing into", part=f"{rank}-of-{world_size}" if world_size > 1 else ""):
        writer = SetWriter(folder, identity(settings, plan), split.labeled, settings.synthetic.refill)
        try:
            draw_missing(writer, chunks, (rank, world_size), settings, plan, split.labeled, place)
        except BaseException:
            if world_size == 1:
                writer.withdraw()
            raise
        card = dataset_card(settings, plan, dataset.name, split.labeled)
        synthetic = writer.finish(requests, card, {"versions": versions(), PLACES: places_of(settings)})
        if synthetic is not None:
            write_command(
                folder, command_of("ssl_aug.generate", "generate", settings, Settings, unsaid=("synthetic.root",))
            )
    if synthetic is None:
        print(f"{folder}: this shard is done, others are not")
        return None
    again = ", synthetic.refill=true draws deleted ones again" if synthetic.deleted else ""
    more = f"; {synthetic.left_out}{again}" if synthetic.left_out else ""
    print(f"{len(synthetic)} images in {folder}{more}")
    if len(synthetic):
        print(in_numbers(synthetic, split.labeled))
        print(f"to look at them: {write_contact_sheet(synthetic, split.labeled)}")
    return synthetic


def draw_missing(
    writer: SetWriter,
    of_set: Sequence[Sequence[Request]],
    part: tuple[int, int],
    settings: Settings,
    plan: TuningPlan | None,
    labeled: LabeledSet,
    place: Placement,
) -> None:
    """Draws this process's chunks, those that are not there; tunes first where that was not done.

    Args:
        part: this process and how many there are.
    """
    done, (rank, world_size) = writer.done(), part
    of_shard = of_set[rank::world_size]
    mine = [chunk for chunk in of_shard if any(request.path not in done for request in chunk)]
    if not mine:
        if plan is not None:
            forget_dead(plan.folder)  # nobody else looks there any more
        return
    keep_freed_memory()
    generator = make_generator(settings, plan, labeled, place)
    work = Work(generator, settings.sampling(), of_set, labeled, place, settings.generator.name, world_size)
    compiled = settled(settings.compile, begun_compiled(writer.folder), work)
    writer.begin(compiled is not None)
    drawing, rows = (generator, 0) if compiled is None else (compiled.generator, compiled.rows)
    scorer, lenders = make_scorer(generator, labeled, place), lenders_of(labeled)
    total, left = num_images(of_shard), num_images(mine)
    mine, num_first = first_to_draw(mine)
    class_scores: list[float] = []
    with progress_bar(total, "drawing", initial=total - left) as bar:
        for number, chunk in enumerate(mine, start=1):
            images = draw(drawing, chunk, labeled, place, rows)
            facts = facts_of(chunk, settings.sampling(), lenders, generator)
            if scorer is not None:
                scores = scorer.scores(images, chunk)
                class_scores += [float(score["class_score"]) for score in scores]
                facts = [{**fact, **score} for fact, score in zip(facts, scores, strict=True)]
            writer.write(chunk, [encode_png(image) for image in images], facts)
            bar.update(len(chunk))
            if number == num_first:
                first = [request for chunk in mine[:num_first] for request in chunk]
                drawn = read_looks([writer.folder / request.path for request in first], SIZE, hidden=True)
                sources = read_looks([request.source.path for request in first], SIZE, hidden=True)
                for line in verdict(drawn, sources, class_scores, len(labeled.class_names)):
                    bar.write(line, file=sys.stderr)
    if compiled is not None:
        print(compiled.in_the_end(len(mine)), file=sys.stderr)


def num_images(chunks: Sequence[Sequence[Request]]) -> int:
    """How many images these chunks ask for; a chunk that was half drawn is drawn whole, so it counts whole."""
    return sum(len(chunk) for chunk in chunks)
