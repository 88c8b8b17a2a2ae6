"""The batch on the command line: a month, a replay, the status, the record; and what goes into the record."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fpml import month as batch
from fpml import replay as replays
from fpml import status as stands
from fpml.county import County
from fpml.dates import AsOf, month_of
from fpml.errors import EXIT_DONE, EXIT_OURS, FpmlError, InputError, UsageError
from fpml.month import Published
from fpml.record import Record
from fpml.replay import Replayed
from fpml.screen import Screen
from fpml.stages import StageDone, Stages
from fpml.workspace import find

Say = Callable[..., None]
# Commands that change something, or show what is known of a household; `status` and `record` do neither.
RECORDED = ("simulate", "intake", "train", "backtest", "month", "replay", "verify", "review", "audit", "explain")
# What of a command's words is recorded, where it has this form: nothing that could be somebody's name or number.
_WORDS = {"as_of": r"\d{4}-\d{2}|last", "first": r"\d{4}-\d{2}", "last": r"\d{4}-\d{2}", "edition": r"\d{1,6}",
          "months": r"\d{1,6}", "models": r"[a-z_]{1,64}", "households": r"\d{1,9}"}  # fmt: skip


@contextmanager
def recorded(a: argparse.Namespace) -> Iterator[list[int]]:
    """Adds to the record that a command begins, and how it ended; without the first it does not begin.

    Gives a list into which the command's exit status is put.
    """
    status: list[int] = []
    if a.command not in RECORDED:
        yield status
        return
    record = Record(find(a.workspace).record)
    record.add(a.command, ended=False, **_said(a))
    try:
        yield status
    except BaseException as e:
        ended = e.exit_code if isinstance(e, FpmlError) else EXIT_OURS
        record.add(a.command, ended=True, status=ended)
        raise
    record.add(a.command, ended=True, status=status[0])


def _said(a: argparse.Namespace) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, form in _WORDS.items():
        told = getattr(a, name, None)
        words = told if isinstance(told, list) else [told]
        kept = [str(w) for w in words if w is not None and re.fullmatch(form, str(w))]
        if kept:
            found[name] = kept if isinstance(told, list) else kept[0]
    return found


def month(a: argparse.Namespace, county: County, screen: Screen, say: Say, tell_intake: Callable[..., int]) -> int:
    """Runs a month; with --json a line for each stage, and the answer as the last line."""
    as_of = AsOf(month_of(date.today())).shift(-1) if a.as_of == "last" else AsOf.parse(a.as_of)
    done = batch.run(county, as_of, language=a.lang, stages=_stages(a, screen), with_review=a.review)
    if done.later:
        later = f"Published before it, and not knowing of it: {', '.join(done.later)}. Publish these again."
        print(later, file=sys.stderr)
    if done.logged is False:
        print("MLflow: the month's alarms could not be logged; the list stands.", file=sys.stderr)
    if done.unwatched:
        print(*done.unwatched, "The list stands; the next run tries again.", file=sys.stderr)
    if a.json:
        refused = [r for r in done.receipts if r.refused]
        _line({"done": True, **_told(done, county)})
        for r in refused:
            print(f"{r.file}: {r.refused}", file=sys.stderr)
        county.inbox.page(a.lang)
        status = InputError.exit_code if refused else EXIT_DONE
        return max(status, *_failed(done))
    status = tell_intake(a, county, done.receipts)
    alarms = [x.as_json(county.catalogue.watching) for x in done.alarms]
    say(a, None, Group(_month_table(done), *_alarm_table(alarms, a.lang or "en")))
    return max(status, *_failed(done))


def _failed(done: Published) -> tuple[int, ...]:
    """The exit status of each thing that failed of what is watched; that of success before them."""
    return (EXIT_DONE, *(e.exit_code for e in done.unwatched))


def _stages(a: argparse.Namespace, screen: Screen) -> Stages:
    show = Stages().show if a.quiet else screen.show
    return Stages(show, (lambda d: _line(d.as_json())) if a.json else _nothing)


def _nothing(_: StageDone) -> None:
    pass


def _line(told: object) -> None:
    print(json.dumps(told, ensure_ascii=False, default=str), flush=True)


def _told(done: Published, county: County) -> dict[str, object]:
    return {
        "month": str(done.edition.month),
        "edition": done.edition.number,
        "new": done.new,
        "changed": done.changed,
        "folder": str(done.folder),
        "about": dict(done.edition.about),
        "later": done.later,
        "alarms": [x.as_json(county.catalogue.watching) for x in done.alarms],
        "logged": done.logged,
        "unwatched": " ".join(map(str, done.unwatched)),
        "receipts": [asdict(r) for r in done.receipts],
        "review": [str(p) for p in done.review],
    }


def _month_table(done: Published) -> Group:
    edition = done.edition
    table = Table(title=f"{edition.month}, edition {edition.number}", show_header=False)
    for name, value in edition.about:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else value)
    table.add_row("→", str(edition.folder))
    for page in done.review:
        table.add_row("→", str(page))
    if not done.new:
        said = f"Nothing changed: edition {edition.number} of {edition.month} stands as it was published."
    elif edition.number > 1:
        said = f"A new edition: changed since the one before: {', '.join(done.changed)}. The older ones remain."
    else:
        said = "Published."
    return Group(table, Text(said))


def replay(a: argparse.Namespace, county: County, screen: Screen, say: Say) -> int:
    """Replays an edition; exit status 3 where it is not equal."""
    done = replays.replay(county, a.as_of, number=a.edition, stages=_stages(a, screen))
    name = done.edition.folder.name
    Record(county.workspace.record).add("replayed", edition=name, equal=done.equal)
    answer = {
        "done": True,
        "month": str(done.edition.month),
        "edition": done.edition.number,
        "equal": done.equal,
        "differing": done.differing,
        "altered": done.altered,
        "ledger_read": done.read,
        "other_code": done.other_code,
        "other_names": done.other_names,
    }
    if a.json:
        _line(answer)
    else:
        say(a, None, _replay_words(done))
    return EXIT_DONE if done.equal else InputError.exit_code


def _replay_words(done: Replayed) -> str:
    what = f"Edition {done.edition.number} of {done.edition.month}"
    if done.equal:
        return f"{what}: equal, byte for byte ({len(done.edition.files)} files, ledger version {done.read})."
    lines = [f"{what}: NOT equal."]
    if done.altered:
        lines.append(f"No longer as published: {', '.join(done.altered)}. Restore them from a copy.")
    if done.differing:
        lines.append(f"Came out otherwise than they lie there: {', '.join(done.differing)}.")
    if done.other_names:
        lines.append("The vault no longer tells the names that it told then: restore data/vault from a copy.")
    if done.other_code:
        lines.append(f"Published with other code or libraries: {', '.join(done.other_code)} (see its stamp.json).")
    return "\n".join(lines)


def record(a: argparse.Namespace, say: Say) -> int:
    """Shows the record's last lines, or verifies all of it."""
    kept = Record(find(a.workspace).record)
    if a.noted and not a.verify:
        raise UsageError("record", "--noted without --verify", "Add --verify.")
    if not a.verify:
        lines = [*kept.lines()]
        table = Table("n", "at", "who", "did", "told")
        for x in lines[-20:]:
            rest = {k: v for k, v in x.items() if k not in ("n", "at", "user", "host", "did", "before", "fpml")}
            cells = (x.get("n"), x.get("at"), f"{x.get('user')}@{x.get('host')}", x.get("did"), json.dumps(rest))
            table.add_row(*map(str, cells))
        say(a, lines, table, wide=True)
        return EXIT_DONE
    found = kept.verify(a.noted)
    words = f"Whole: {found.lines:,} lines. The last one's hash, to be noted elsewhere:\n{found.head}"
    if found.faults:
        words = "\n".join(("BROKEN:", *found.faults))
    say(a, asdict(found) | {"whole": not found.faults}, words)
    return InputError.exit_code if found.faults else EXIT_DONE


def status(a: argparse.Namespace, county: County, say: Say) -> None:
    """Says how the county stands."""
    told = stands.status(county)
    say(a, told, Group(*_status_tables(told, a.lang or "en")), wide=True)


def _status_tables(told: stands.Answer, language: str) -> Iterator[Table | Text]:
    ledger, came = told["ledger"], told["deliveries"]
    table = Table(title="simulated" if told["simulated"] else None, show_header=False)
    table.add_row("policy", told["policy"])
    known = f"version {ledger['version']}, known {ledger['known_from']} to {ledger['known_to']}"
    table.add_row("ledger", known if ledger["known_to"] else "holds no records yet")
    refused = f"{came['refused']} refused, {came['refused_rows']:,} rows refused in {came['with_refused_rows']}"
    table.add_row("deliveries", f"{came['taken_in']} taken in, {refused}, {came['waiting']} waiting")
    table.add_row("running now", told["running"] or "nothing")
    table.add_row("record", f"{told['record']:,} lines")
    yield table
    if told["late"]:
        yield _rows("Late or missing", ("month", "what", "do"),
                    ((f["month"], f[language]["said"], f[language]["remedy"]) for f in told["late"]))  # fmt: skip
    if month := told["unwatched"]:
        yield Text(
            f"The monitors have not seen the list of {month}: run `fpml month {month}` again, and see what it says."
        )
    yield from _alarm_table(told["alarms"], language)
    if outlook := told["outlook"]:
        yield _rows("What lists find (estimates; what came is told later)", ("what", "figure"), _outlook(outlook))
    if told["published"]:
        yield _rows("Published", ("month", "edition", "ledger", "policy", "models", "code"),
                    ((e["month"], e["edition"], e.get("ledger", "-"), e.get("policy", e.get("damaged", "no stamp")),
                      "\n".join(f"{k} {v}" for k, v in e.get("models", {}).items()), e.get("code", ""))
                     for e in told["published"]))  # fmt: skip
    if told["models"]:
        yield _rows("Models that a list of now is ranked by", ("model", "learnt to", "months old", "falls", "slopes"),
                    ((m["model"], m.get("learnt_to", m.get("damaged")), m.get("months_old"),
                      m.get("falls_learnt_from"), m.get("calibration_slopes")) for m in told["models"]))  # fmt: skip
    if review := told["review"]:
        yield _rows("The last review", ("figure", "estimate"), review.items())


def _alarm_table(alarms: list[Any], language: str) -> Iterator[Table]:
    if alarms:
        rows = ((a["month"], a[language]["said"], a[language]["remedy"]) for a in alarms)
        yield _rows("Alarms", ("month", "what", "do"), rows)


def _outlook(told: stands.Answer) -> Iterator[tuple[str, str]]:
    if estimate := told["estimate"]:
        what = f"of {estimate['with_a_chance']} listed with a chance in {estimate['month']} will fall, by the chances"
        yield what, f"{estimate['expected']} ({estimate['share']:.1%})"
    if (entries := told["entries"])["months"]:
        delay = entries["delay_months"]
        late = f"; a halving is seen after {delay} months on average" if delay else ""
        what = f"entries into monitoring in {entries['months']} months, foreseen / came"
        yield what, f"{entries['foreseen']} / {entries['came']}{late}"
    for month, recall in told["audit"].items():
        yield (
            f"yearly recall by the audit of {month}",
            f"{recall['estimate']:.0%} ({recall['low']:.0%} to {recall['high']:.0%})",
        )


def _rows(title: str, heads: tuple[str, ...], rows: Any) -> Table:
    table = Table(*heads, title=title)
    for row in rows:
        table.add_row(*(f"{c:.3f}" if isinstance(c, float) else str(c) for c in row))
    return table
