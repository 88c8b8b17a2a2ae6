"""What departments tell, held against the same months before: how large amounts are, and how many there are."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fpml.catalogue import Catalogue
from fpml.dates import AsOf, months_of
from fpml.health.alarm import Alarm
from fpml.ledger import Ledger, days, indicator_codes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
QUARTILES = (0.25, 0.5, 0.75)
YEAR = 12
# The standard error of a median, in those of a mean, of normal values.
_OF_A_MEDIAN = math.sqrt(math.pi / 2)


@dataclass(frozen=True)
class Told:
    """What became known in some months: of each indicator (by its code) and month how many rows, and the amounts.

    `first`: the month of the first column of `rows`. `values`: by code and month the amounts above 0, as logarithms.
    """

    first: int
    rows: Ints
    values: Mapping[tuple[int, int], Floats]

    def of(self, code: int, month: int) -> int:
        """How many rows of an indicator became known in a month."""
        at = month - self.first
        return int(self.rows[code, at]) if 0 <= at < self.rows.shape[1] else 0


def told(ledger: Ledger, catalogue: Catalogue, *months: AsOf) -> Told:
    """What became known up to these months, in one pass: all that `levels` and `volumes` of them are held against."""
    last = max(m.month for m in months)
    first = min(last, *(ledger.known_span()[0].year * YEAR + ledger.known_span()[0].month - 1, last))
    same = {m.month - YEAR * n for m in months for n in range((last - first) // YEAR + 2)}
    amounts = np.array([*(i.kind == "amount" for i in catalogue.indicators.values()), False])
    rows = np.zeros((len(catalogue.indicators), last - first + 1), np.int64)
    parts: dict[tuple[int, int], list[Floats]] = {}
    for shard in range(ledger.shards):
        table = ledger.shard(shard, ["indicator", "known_date", "value"])
        code = indicator_codes(table["indicator"], catalogue.codes)
        known = months_of(days(table["known_date"]).astype("datetime64[D]"))
        here = (known >= first) & (known <= last) & (code >= 0)
        np.add.at(rows, (code[here], known[here] - first), 1)
        value = table["value"].to_numpy().astype(float)
        counts = here & amounts[code] & np.isin(known, [*same]) & (value > 0)
        key = code[counts].astype(np.int64) * 65_536 + known[counts]
        logs = np.log(value[counts])
        order = np.argsort(key, kind="stable")
        keys, begins = np.unique(key[order], return_index=True)
        for k, some in zip(keys.tolist(), np.split(logs[order], begins[1:]), strict=False):
            parts.setdefault((k // 65_536, k % 65_536), []).append(some)
    return Told(first, rows, {k: np.concatenate(v) for k, v in parts.items()})


def levels(came: Told, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Indicators whose values told in the month are not those of the same month of earlier years."""
    limit = catalogue.watching.level
    for name, indicator in catalogue.indicators.items():
        code = catalogue.codes[name]
        same = [
            v for m in range(month.month - YEAR, came.first - 1, -YEAR) if (v := came.values.get((code, m))) is not None
        ]
        now = came.values.get((code, month.month))
        if now is None or not same:
            continue
        if (times := shifted(now, np.concatenate(same), times=limit.times, errors=limit.errors)) is not None:
            yield Alarm("level", str(month), indicator.name, {"times": f"{times:.2g}"})


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


def volumes(came: Told, catalogue: Catalogue, month: AsOf, *, owing: frozenset[str] = frozenset()) -> Iterator[Alarm]:
    """Indicators of which far more, or far fewer, rows became known than in any of the twelve months before.

    The same month of the year before is one of these. `owing`: departments that are known to be missing.
    """
    limit, begins = catalogue.watching.volume, month.month - YEAR
    if came.first > begins:
        return
    for name, indicator in catalogue.indicators.items():
        code = catalogue.codes[name]
        before = [came.of(code, m) for m in range(begins, month.month)]
        now = came.of(code, month.month)
        usual = outside(now, before, times=limit.times, errors=limit.errors)
        if usual is not None and not (now < usual and indicator.department in owing):
            yield Alarm("volume", str(month), indicator.name, {"rows": f"{now:,}", "usual": f"{usual:,}"})


def outside(now: int, before: list[int], *, times: float, errors: float) -> int | None:
    """The least or the most of the months before, where so many times as many or as few came; None where not.

    Of what has come steadily alone, by the same measure: harvests, floods and losses come when they come. Beyond what
    chance gives too: in square roots a count varies by a half.
    """
    if not 0 < max(before) <= times * min(before):
        return None
    for usual, much in ((max(before), now >= times * max(before)), (min(before), times * now <= min(before))):
        if much and abs(math.sqrt(now) - math.sqrt(usual)) * 2 >= errors * math.sqrt(2):
            return usual
    return None
