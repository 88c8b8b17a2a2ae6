"""Whether what comes in, and what visits find, is still as it was: alarms, each with what to do. No person.

Counts, shares and medians are held against the sender's own past, or the same month of earlier years. What is watched,
from when it is an alarm, and every sentence is policy/health.yaml.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue, Language, Precision, Watching, Words
from fpml.dates import AsOf
from fpml.intake import Receipt
from fpml.intake.expected import Expected, month_told, sender_of
from fpml.ledger import Ledger

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
VERIFIED, CONFIRMED = "verified", 2
# So many months of a sender's past tell what is usual.
ENOUGH = 3
# Deliveries of fewer rows are all but a few persons' fate.
ROWS = 100
QUARTILES = (0.25, 0.5, 0.75)
# The standard error of a median, in those of a mean, of normal values.
_OF_A_MEDIAN = math.sqrt(math.pi / 2)


@dataclass(frozen=True)
class Alarm:
    """What is wrong in a month: the monitor that says so, of what, and the facts that its sentence is filled with."""

    monitor: str
    month: str
    of: Words
    facts: Mapping[str, str]

    def said(self, watching: Watching, language: Language) -> str:
        """The alarm as a sentence."""
        of = self.of.said(language)
        return watching.monitors[self.monitor].says.said(language).format(
            source=of, indicator=of, month=self.month, **self.facts
        )  # fmt: skip

    def as_json(self, watching: Watching) -> dict[str, object]:
        """The same for a program, with its sentence and remedy in both languages."""
        remedy = watching.monitors[self.monitor].remedy
        words: dict[str, object] = {
            lang: {"said": self.said(watching, lang), "remedy": remedy.said(lang)} for lang in ("zh", "en")
        }
        return {"monitor": self.monitor, "month": self.month, **self.facts, **words}


def alarms(
    receipts: Sequence[Receipt], told: Expected, ledger: Ledger, catalogue: Catalogue, month: AsOf
) -> list[Alarm]:
    """Every alarm of one month, by monitor; `told`: what came against what was to be expected."""
    return [
        *missing(receipts, told, month),
        *damaged(receipts, catalogue, month),
        *levels(ledger, catalogue, month),
        *precision(ledger, catalogue, month),
    ]


def missing(receipts: Iterable[Receipt], told: Expected, month: AsOf) -> Iterator[Alarm]:
    """Senders who owe the month, with the last month that they told of."""
    came: dict[str, list[str]] = defaultdict(list)
    for r in receipts:
        if not r.refused and month_told(r) < str(month):
            came[sender_of(r)].append(month_told(r))
    for f in told.of(str(month)):
        if f.kind == "missing":
            yield Alarm("missing", str(month), f.source, {"last": max(came[f.sender], default="-")})


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
            of = names.get(sender) or Words(zh=sender or "标准记录", en=sender or "records")
            yield Alarm("damaged", str(month), of, {"share": f"{share:.0%}", "usual": f"{usual:.1%}"})


def levels(ledger: Ledger, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Indicators whose values told in the month are not those of the same month of earlier years."""
    limit = catalogue.watching.level
    for name, indicator in catalogue.indicators.items():
        if indicator.kind != "amount":
            continue
        told = ledger.of_indicator(name, ["known_date", "value"])
        value = told["value"].to_numpy().astype(float)
        known = told["known_date"].to_numpy().astype("datetime64[M]").astype(int) + 1970 * 12
        now, before = _logs(value[known == month.month]), _logs(value[_same_months(known, month)])
        if (times := shifted(now, before, times=limit.times, errors=limit.errors)) is not None:
            yield Alarm("level", str(month), indicator.name, {"times": f"{times:.2g}"})


def _same_months(known: npt.NDArray[np.int64], month: AsOf) -> Bools:
    back = month.month - known
    return (back > 0) & (back % 12 == 0)


def _logs(value: Floats) -> Floats:
    return np.log(value[value > 0])


def shifted(now: Floats, before: Floats, *, times: float, errors: float) -> float | None:
    """How many times those of earlier years all quartiles are at the least; None where it is little or may be chance.

    Both are logarithms; the standard error is that of medians of normal logarithms.
    """
    if min(now.size, before.size) < 2:
        return None
    # All quartiles: where amounts are a few round sums, a median alone leaps from one to the next.
    steps = np.quantile(now, QUARTILES) - np.quantile(before, QUARTILES)
    step = float(steps[np.argmin(abs(steps))]) if len(set(np.sign(steps))) == 1 else 0.0
    spread = float(np.hypot(now.std(ddof=1) / math.sqrt(now.size), before.std(ddof=1) / math.sqrt(before.size)))
    large = abs(step) >= math.log(times) and abs(step) >= errors * _OF_A_MEDIAN * spread
    return math.exp(step) if large else None


def precision(ledger: Ledger, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Whether visits up to the month confirm far fewer risks than the first ones did: by a CUSUM, see `halved`."""
    if VERIFIED not in catalogue.indicators:
        return
    told = ledger.standing(month.date, VERIFIED).select(["known_date", "event_date", "fact", "value"]).to_pandas()
    told = told.sort_values(["known_date", "event_date", "fact"])
    rule = catalogue.watching.precision
    found = halved((told["value"] == CONFIRMED).to_numpy(), rule)
    if found is None:
        return
    reached: date = told["known_date"].iloc[found]
    if AsOf(month.month - 1).date < reached <= month.date:
        _, usual = _learnt((told["value"] == CONFIRMED).to_numpy(), rule)
        yield Alarm("precision", str(month), Words(zh="入户核实", en="visits"), {"expected": f"{usual:.0%}"})


def halved(confirmed: Bools, rule: Precision) -> int | None:
    """The visit, by its place, at which it is clear that the share confirmed has halved; None where it is not.

    Page's CUSUM of the log-likelihood ratio of half the share against the share of the first visits, up to the one that
    confirmed the `learn`th risk. With a limit of log n the mean run to a false alarm is n visits at least where that
    share is exact (Lorden 1971).
    """
    begun, usual = _learnt(confirmed, rule)
    if not 0 < usual < 1:
        return None
    hit, miss = math.log(0.5), math.log((1 - usual / 2) / (1 - usual))
    total, limit = 0.0, math.log(rule.false_alarm_in)
    for at in range(begun, confirmed.size):
        total = max(0.0, total + (hit if confirmed[at] else miss))
        if total >= limit:
            return at
    return None


def _learnt(confirmed: Bools, rule: Precision) -> tuple[int, float]:
    """How many visits were learnt from, and the share of them that confirmed a risk; 0 where there were too few."""
    hits = np.flatnonzero(confirmed)
    if hits.size < rule.learn:
        return confirmed.size, 0.0
    begun = int(hits[rule.learn - 1]) + 1
    return begun, rule.learn / begun


def delay(usual: float, rule: Precision) -> float:
    """How many visits it takes, on average, to be sure that a share confirmed has halved.

    >>> from fpml.catalogue import Precision
    >>> [round(delay(p, Precision(learn=200, false_alarm_in=1_000_000))) for p in (0.04, 0.3)]
    [2178, 226]
    """
    half = usual / 2
    information = half * math.log(0.5) + (1 - half) * math.log((1 - half) / (1 - usual))
    return math.log(rule.false_alarm_in) / information
