"""From a set's folder to its page: reads, judges, writes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_aug.data.base import LabeledSet
from ssl_aug.data.build import load_and_tell
from ssl_aug.files import written_atomically
from ssl_aug.made_by import read_command
from ssl_aug.reporting.evaluations import read_evaluation, read_evaluations
from ssl_aug.reporting.findings import ALTERED, COPY, FLAGS, class_facts, findings, judge
from ssl_aug.reporting.looks import read_looks, side_px
from ssl_aug.reporting.page import Page, identity_in, render
from ssl_aug.reporting.pairs import pairs_of
from ssl_aug.reporting.runs import Accuracies, read_accuracies
from ssl_aug.reporting.settings import EVALUATIONS, RUNS, ReportSettings
from ssl_aug.reporting.sheets import SIZES, make_sheets, size_that_fits
from ssl_aug.reporting.subject import DELETED, REJECTED, Subject, read_subject, refuse_unfinished
from ssl_aug.reporting.tuning_log import TuningLog, read_tuning
from ssl_aug.reporting.views import class_views, facts_for_script, glance_at, pictures_of, told_share
from ssl_aug.results.accuracies import Kind
from ssl_aug.settings import flat, short_hash
from ssl_aug.synthetic import PLACES, default_folder, is_finished, why_unlabeled, word_of
from ssl_aug.synthetic.folder import NUM_NAMED, finished_sets

NAME = "report.html"
PASSING = ("num_images", "versions", PLACES)  # of a set's record: a longer set of the same settings is the same one


def report(settings: ReportSettings, why_no_data: str = "") -> Path:
    """Writes the page of the set that the settings name; returns its file.

    Args:
        why_no_data: where the labeled images are not to be had, the reason; the page then does without them.

    Raises:
        FileNotFoundError: there is no finished set, or no data to tell its folder by.
        FileExistsError: the file to write is there, and is no report of this set.
        ValueError: the set, a result or an evaluation is damaged.
    """
    if settings.synthetic.refill:
        raise ValueError("synthetic.refill=true has no effect here: give it to python -m ssl_aug.generate")
    if settings.synthetic.root:
        refuse_unfinished(Path(settings.synthetic.root))  # before the data are loaded, which may take a while
    labeled = None if why_no_data else load_and_tell(settings.data)[1].labeled
    subject = read_subject(_folder(settings, labeled), labeled, settings.per_sample, why_no_data)
    out = Path(settings.out) if settings.out else subject.folder / NAME
    identity = identity_of(subject.record)
    refuse_other_file(out, identity)
    if settings.dry_run:
        print(f"would show {len(subject.drawings)} drawings of {subject.folder} in {out}")
        return out
    page = make_page(settings, subject, identity)
    text = render(page)
    with written_atomically(out, sweep=True) as part:
        part.write_text(text, encoding="utf-8")
    for notice in page.notices:
        print(notice, file=sys.stderr)
    for finding in page.findings:
        print(f"{'!' if finding.is_grave else '-'} {finding.title}")
    print(f"to look at: {out} ({len(text.encode()) / 1e6:.1f} MB)")
    return out


def _folder(settings: ReportSettings, labeled: LabeledSet | None) -> Path:
    if settings.synthetic.root:
        return Path(settings.synthetic.root)
    assert labeled is not None  # only a set's folder stands for data that are not there
    folder = default_folder(settings, labeled.id)
    others = [] if is_finished(folder) else finished_sets(labeled.id)
    if others:
        named = ", ".join(word_of("synthetic.root", str(path)) for path in others[:NUM_NAMED])
        raise FileNotFoundError(
            f"{folder} holds no finished set: draw one with python -m ssl_aug.generate and the same settings, or name "
            f"another of the same labeled images, newest first: {named}"
        )
    return folder


def identity_of(record: Mapping[str, Any]) -> str:
    """8 hex digits of all that makes a set this one."""
    return short_hash({name: value for name, value in record.items() if name not in PASSING})


def refuse_other_file(out: Path, identity: str) -> None:
    """Raises FileExistsError where a file is there that is no report of the same set."""
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir():
        raise FileExistsError(f"--out {out} is a folder: name the file to write, such as {out / NAME}")
    found = identity_in(out)
    if found != identity:
        what = "is no report" if found is None else "is the report of another set"
        raise FileExistsError(f"--out {out} {what}: name another file, nothing is overwritten")


def make_page(settings: ReportSettings, subject: Subject, identity: str) -> Page:
    """Everything that the page shows."""
    accuracies = read_accuracies(Path(settings.runs or RUNS), subject, settings.runs is not None)
    evaluations = (
        [read_evaluation(Path(settings.evaluation), subject)]
        if settings.evaluation
        else read_evaluations(Path(EVALUATIONS), subject)
    )
    tuning = read_tuning(settings, subject)
    drawn = [drawing.path for drawing in subject.drawings]
    paths = [*drawn, *subject.labeled.values()]
    side = side_px(drawn) or SIZES[0]
    size = size_that_fits(paths, side)
    looks = read_looks(paths, size)
    known = dict(zip(subject.labeled, looks[len(drawn) :], strict=True))
    judged = judge(subject, looks[: len(drawn)], known)
    facts = class_facts(subject, judged)
    sheets = make_sheets(looks, size)
    pictures = pictures_of(subject, looks[: len(drawn)], known, sheets)
    classes = class_views(subject, judged, facts, pictures)
    views = [one for each in classes for row in each.rows for one in row.drawings]
    return Page(
        identity=identity,
        title=subject.folder.resolve().name,
        summary=summary_of(subject),
        notices=subject.notices,
        tiles=tiles_of(subject, accuracies),
        glance=glance_at(classes),
        findings=tuple(findings(subject, looks[: len(drawn)], known, judged, facts)),
        checked=tuple(words for flag, words in FLAGS.items() if flag != COPY or subject.labeled),
        accuracies=accuracies,
        evaluations=tuple(evaluations),
        pairs=pairs_of([each.folder for each in evaluations], subject),
        tuning=tuning,
        commands=commands_of(subject, tuning, accuracies),
        next_runs=tuple(
            (f"{how} the drawings", command_on(subject, "benchmarks.run", f"augment={augment}"))
            for how, augment in (("without", "false"), ("with", "true"))
        ),
        next_evaluation=(("measure it", command_on(subject, "ssl_aug.evaluate")),),
        why_unlabeled=why_unlabeled(subject.record),
        settings=settings_of(subject.record),
        versions=tuple(sorted(subject.record.get("versions", {}).items())),
        classes=tuple(classes),
        pictures=pictures.of_drawings,
        side_px=side,
        has_scores=any(one.class_score for one in views),
        has_boxes=any(one.box for one in views),
        has_lenders=any(one.lender for one in views),
        facts=facts_for_script(subject, judged, pictures.of_labeled),
        sheets=sheets,
    )


def summary_of(subject: Subject) -> str:
    """What the set is, in a sentence or two."""
    record = subject.record
    root = record.get(PLACES, {}).get("data.root")
    data = " ".join([record.get("data", {}).get("name", "unknown data"), *([Path(root).name] if root else [])])
    if record.get("imported"):
        return f"Images for {data} that another program made: {record.get('made_by', 'it does not say which')}."
    generator, tune = record.get("generator", {}).get("name", "unknown"), record.get("tune", {})
    tuned = f", tuned ({tune['approach']}, {tune['steps']} steps)" if tune.get("steps") else ", not tuned"
    how = f"Drawn for {data} by the generator {generator}{tuned}"
    if record.get("prompt") is not None:
        return f"{how}, from the prompt {record['prompt']!r}: these images have no labels."
    condition = record.get("condition", "image")
    masked = f", mask rate {record['mask_rate']:g}" if record.get("mask_rate") else ""
    return f"{how}; condition {condition}{masked}, {record.get('sampler', '?')} in {record.get('steps', '?')} steps."


def tiles_of(subject: Subject, accuracies: Accuracies) -> tuple[tuple[str, str], ...]:
    """The figures at the head of the page."""
    kept = sum(drawing.state not in (DELETED, REJECTED, ALTERED) for drawing in subject.drawings)
    left_out = len(subject.drawings) - kept
    sources = {drawing.source for drawing in subject.drawings if drawing.row["source"]}
    tiles = [(str(kept), f"drawings ({left_out} left out)" if left_out else "drawings")]
    tiles += [(str(len(sources)), "labeled images")] if sources else []
    tiles.append((str(len(subject.class_names)), "classes"))
    share = told_share(subject.drawings)
    tiles += [(f"{100 * share:.0f}\N{NO-BREAK SPACE}%", "recognized by CLIP")] if share is not None else []
    gains = [
        (row.cells[-1], len(row.cells) - 1 in row.unsure)
        for each in accuracies.tables
        for row in each.table.rows
        if row.kind is Kind.DIFFERENCE and isinstance(row.cells[-1], float)
    ]
    if len(gains) == 1:
        gain, is_unsure = gains[0]
        chance = ": may be chance" if is_unsure else ""
        what = f"points of accuracy by the drawings, mean of the methods{chance}"
        tiles.append((f"{gain:+.1f}".replace("-", "\N{MINUS SIGN}"), what))
    return tuple(tiles)


def commands_of(subject: Subject, tuning: TuningLog | None, accuracies: Accuracies) -> tuple[tuple[str, str], ...]:
    """The commands that made what is shown, as far as folders say them."""
    found = [("this tuning", tuning.command if tuning else None), ("this set", read_command(subject.folder))]
    found += [("a run", command) for command in accuracies.commands]
    return tuple((what, command) for what, command in found if command is not None)


def command_on(subject: Subject, module: str, *words: str) -> str:
    """A command on the set, for a shell."""
    return shlex.join(["python", "-m", module, word_of("synthetic.root", str(subject.folder)), *words])


def settings_of(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What generator.json holds, in words, save what the page shows elsewhere."""
    shown = {name: value for name, value in record.items() if name not in ("class_names", "versions")}
    return tuple((name, _word(value)) for name, value in flat(shown).items())


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
