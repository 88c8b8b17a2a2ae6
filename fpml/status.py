"""How a county stands: what came in, what is late, what was published, how its models are doing. No person."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fpml import lists
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError
from fpml.lists import Edition
from fpml.lock import held
from fpml.record import Record

Answer = dict[str, Any]
# The figures of a review that tell how rules and models are doing.
FIGURES = ("falls", "found_rules", "found_model", "found_in_force", "lead_rules", "lead_model", "precision_model")
LATE = ("missing", "late", "refused")
# Of so many months up to the last told of, what was late is told.
LATELY = 3


def status(county: County) -> Answer:
    """All of it, for a program: counts, months and fingerprints."""
    space = county.workspace
    return {
        "policy": county.catalogue.fingerprint,
        "simulated": county.catalogue.county.simulated,
        "running": held(space.cache / "month.lock") or held(space.cache / "intake.lock"),
        "ledger": _ledger(county),
        "deliveries": _deliveries(county),
        "late": [*_late(county)],
        "alarms": [*_alarms(county)],
        "unwatched": _unwatched(county),
        "outlook": _outlook(county),
        "published": [_edition(e) for e in lists.editions(space.lists)],
        "models": [*_models(county)],
        "review": _review(county),
        "record": sum(1 for _ in Record(space.record).lines()),
    }


def _ledger(county: County) -> Answer:
    ledger = county.ledger
    try:
        first, last = map(str, ledger.known_span())
    except NotYetError:
        first = last = ""
    return {"version": ledger.version, "known_from": first, "known_to": last}


def _deliveries(county: County) -> Answer:
    receipts = county.inbox.receipts()
    return {
        "taken_in": sum(bool(r.runs) for r in receipts),
        "refused": sum(bool(r.refused) for r in receipts),
        "with_refused_rows": sum(bool(r.quarantined) for r in receipts),
        "refused_rows": sum(sum(r.quarantined.values()) for r in receipts),
        "last_taken_on": max((r.taken_on for r in receipts), default=""),
        "waiting": len(county.inbox.waiting()),
    }


def _late(county: County) -> Iterator[Answer]:
    """What is missing or came late of the last months, and files that were refused whole and not replaced."""
    told = county.inbox.expected()
    if told.latest:
        first = str(AsOf.parse(told.latest).shift(1 - LATELY))
        yield from (f.as_json() for f in told.findings if f.kind in LATE and (f.month >= first or f.kind == "refused"))


def _alarms(county: County) -> Iterator[Answer]:
    """What is not as it was, of the last month told of and the one before it."""
    if told := county.inbox.expected().latest:
        yield from (a.as_json(county.catalogue.watching) for a in county.watch.lately(AsOf.parse(told)))


def _unwatched(county: County) -> str:
    """The month of the last list, where the monitors have not been asked of it without a fault; else ''."""
    published = lists.editions(county.workspace.lists)
    last = published[-1] if published else None
    with suppress(InputError):  # its stamp is damaged: that is told with the edition
        return "" if last is None or county.watch.has_asked(last) else str(last.month)
    return ""


def _outlook(county: County) -> Answer | None:
    """What chances expect of the last list, and what came of those before; None where none was published."""
    published = lists.editions(county.workspace.lists)
    return county.watch.outlook(published[-1].month) if published else None


def _edition(edition: Edition) -> Answer:
    """One published list: its stamps, or why they cannot be told."""
    told: Answer = {"month": str(edition.month), "edition": edition.number, "folder": edition.folder.name}
    try:
        made = edition.made
    except InputError as e:
        return told | {"damaged": e.problem}
    if made is None:
        return told
    code = f"{made.code.get('fpml', '')}+{made.code.get('source', '')}"
    return told | {"ledger": made.ledger, "policy": made.policy, "models": dict(made.models), "code": code}


def _models(county: County) -> Iterator[Answer]:
    """Each model that a list of now would be ranked by: what it learnt from, and how old it is in months."""
    known = _ledger(county)["known_to"]
    if not known:
        return
    reached = AsOf.parse(known[:7])
    for name, folder in county.trained.artefacts(reached).items():
        told: Answer = {"model": name, "folder": folder}
        try:
            card = json.loads((county.workspace.artefacts / name / folder / "model.json").read_text(encoding="utf-8"))
            learnt = card["learnt"]
            slopes = {f"{h}m": round(c["slope"], 3) for h, c in card["calibrations"].items()}
            told |= {
                "learnt_to": learnt["origin"],
                "months_old": reached.month - AsOf.parse(learnt["origin"]).month,
                "falls_learnt_from": learnt["positive_labels"],
                "calibration_slopes": slopes,
                "usable": card["meaning"] == county.catalogue.meaning,
            }
        except (OSError, ValueError, KeyError, TypeError) as e:
            told["damaged"] = type(e).__name__
        yield told


def _review(county: County) -> Answer | None:
    """What the last review found of rules and models; None where there was none."""
    pages = sorted(county.workspace.reports.glob("review-*.json"), key=lambda p: (p.name[:14], p.stat().st_mtime_ns))
    if not pages:
        return None
    try:
        told = json.loads(pages[-1].read_text(encoding="utf-8"))
        figures = {f["figure"]: f["estimate"] for f in told["figures"]}
        about = {k: told["about"][k] for k in ("as_of", "as_ofs", "visits", "simulated")}
    except (OSError, ValueError, KeyError, TypeError) as e:
        return {"damaged": type(e).__name__}
    return about | {k: figures.get(k) for k in FIGURES}
