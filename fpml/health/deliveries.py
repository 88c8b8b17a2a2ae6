"""Deliveries against expectation: who owes the month and what rests on older data; whose rows were refused."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

from fpml.catalogue import Catalogue, Words
from fpml.dates import AsOf
from fpml.health.alarm import Alarm
from fpml.health.snapshot import Snapshot
from fpml.intake import Receipt
from fpml.intake.expected import RECORDS, Expected, month_told, sender_of

# So many months of a sender's past tell what is usual.
ENOUGH = 3
# Deliveries of fewer rows are all but a few persons' fate.
ROWS = 100


def missing(
    receipts: Iterable[Receipt], told: Expected, month: AsOf, catalogue: Catalogue, listed: Snapshot | None = None
) -> Iterator[Alarm]:
    """Senders who owe the month, with the last month that they told of.

    `listed`: what the month's list was made from. Where a sender is all that its department has, it is said which share
    of the reasons of high-risk households rests on what it told before.
    """
    came: dict[str, list[str]] = defaultdict(list)
    for r in receipts:
        if not r.refused and month_told(r) < str(month):
            came[sender_of(r)].append(month_told(r))
    alone = {d.sent_by[0].said("zh"): name for name, d in catalogue.departments.items() if len(d.sent_by) == 1}
    for f in told.of(str(month)):
        if f.kind != "missing":
            continue
        facts, department = {"last": max(came[f.sender], default="-")}, alone.get(f.sender)
        share = listed.rests_on(department) if listed and department and not f.item else None
        rests = {"share": f"{share:.0%}"} if share else {}
        yield Alarm("missing", str(month), f.source, facts | rests, also=bool(share))


def damaged(receipts: Iterable[Receipt], catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Senders of whose rows of the month many more were refused than usual."""
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for r in receipts:
        if not r.refused and month_told(r) <= str(month):
            counted = rows[sender_of(r)][month_told(r)]
            counted[0] += r.rows
            counted[1] += sum(r.quarantined.values())
    limit = catalogue.watching.refused
    names = {w.said("zh"): w for d in catalogue.departments.values() for w in d.sent_by}
    for sender, months in sorted(rows.items()):
        whole, refused = months.pop(str(month), [0, 0])
        before = [bad / n for n, bad in months.values() if n]
        if whole < ROWS or len(before) < ENOUGH:
            continue
        share, usual = refused / whole, median(before)
        if share >= max(limit.at_least, limit.times * usual):
            of = names.get(sender) or (Words(zh=sender) if sender else RECORDS)
            yield Alarm("damaged", str(month), of, {"share": f"{share:.0%}", "usual": f"{usual:.1%}"})
