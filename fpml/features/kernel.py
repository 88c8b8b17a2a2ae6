"""The kernel's compiled loops: see `windows` for what they do and why."""

from typing import Any, NamedTuple

import numba
import numpy as np

OPERATIONS = (
    "sum", "max", "min", "last", "count", "months_since", "duration", "holding",
    "mean", "trend", "sd", "months_with", "trend_of_records", "sd_of_records",
)  # fmt: skip
(_SUM, _MAX, _MIN, _LAST, _COUNT, _SINCE, _DURATION, _HOLDING, _MEAN, _TREND, _SD, _WITH, _TREND_R, _SD_R) = range(14)
YEAR_TO_DATE = -1
_WANT_MAX, _WANT_MIN, _WANT_LAST, _WANT_SINCE, _WANT_SLOPE, _WANT_MEAN, _WANT_SOME = (2**n for n in range(7))
_WANT_RARER = _WANT_MIN | _WANT_LAST | _WANT_SINCE | _WANT_SLOPE | _WANT_MEAN
_LOWEST = -(2**62)


class Entries(NamedTuple):
    """A shard's versions (`records.Records`): `starts[h * indicators + i]` is where those of h and i begin."""

    starts: Any
    event: Any
    until: Any
    known: Any
    superseded: Any
    person: Any
    value: Any


@numba.njit(nogil=True, cache=True)
def fill(
    starts, indicators, event, until, known, superseded, person, value,
    walks, agos, ways, windows, lengths, slot, some_slot, months, row_of, whole, small, real, some,
):  # fmt: skip  # pragma: no cover  (compiled)
    """Writes every asked feature of every asked row."""
    as_ofs = months.size
    base, end_month = months[0], months[-1] + 1
    first_at = np.zeros(end_month - base + 1, np.int64)
    for m in range(base, end_month + 1):
        first_at[m - base] = np.searchsorted(months, m)
    most = 1
    for walk in range(agos.size):
        most = max(most, windows[walk + 1] - windows[walk])
    # Figures of one household and indicator by window and as-of; sums and counts as differences.
    shape = (most, as_ofs + 1)
    scratch = (
        np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64),
        np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64),
        np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64),
    )  # fmt: skip
    wants = np.zeros(lengths.size, np.int64)
    for w in range(lengths.size):
        put = slot[w]
        wants[w] |= _WANT_MAX if put[_MAX] >= 0 else 0
        wants[w] |= _WANT_MIN if put[_MIN] >= 0 else 0
        wants[w] |= _WANT_LAST if put[_LAST] >= 0 else 0
        wants[w] |= _WANT_SINCE if put[_SINCE] >= 0 else 0
        wants[w] |= _WANT_MEAN if put[_MEAN] >= 0 else 0
        wants[w] |= _WANT_SLOPE if put[_TREND] >= 0 or put[_TREND_R] >= 0 else 0
        wants[w] |= _WANT_SOME if some_slot[w].max() >= 0 else 0
    for h in range(row_of.shape[0]):
        asked = False
        for a in range(as_ofs):
            asked = asked or row_of[h, a] >= 0
        if not asked:
            continue
        for i in range(indicators):
            begin, end = starts[h * indicators + i], starts[h * indicators + i + 1]
            if begin == end:
                continue
            for walk in range(walks[i], walks[i + 1]):
                w, w_end = windows[walk], windows[walk + 1]
                if ways[walk] == 0:
                    _along_ranges(
                        begin, end, event, known, superseded, value, agos[walk], w, w_end, lengths, slot, some_slot,
                        wants, base, end_month, first_at, scratch, months, row_of, h, whole, small, real, some,
                    )  # fmt: skip
                    continue
                for a in range(as_ofs):
                    row = row_of[h, a]
                    if row < 0:
                        continue
                    if ways[walk] == 1:
                        _month_by_month(
                            begin, end, event, known, superseded, value, months[a], agos[walk], w, w_end, lengths,
                            slot, some_slot, row, real, some,
                        )  # fmt: skip
                    else:
                        _as_status(
                            begin, end, event, until, known, superseded, person, value, months[a], agos[walk], w, w_end,
                            lengths, slot, some_slot, row, whole, small, real, some,
                        )  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _length(lengths, w, end_month):  # pragma: no cover  (compiled)
    return end_month % 12 + 1 if lengths[w] == YEAR_TO_DATE else lengths[w]


@numba.njit(nogil=True, cache=True, inline="always")
def _along_ranges(
    begin, end, event, known, superseded, value, ago, w_first, w_end, lengths, slot, some_slot, wants,
    base, end_month, first_at, scratch, months, row_of, h, whole, small, real, some,
):  # fmt: skip  # pragma: no cover  (compiled)
    number, total, high, low, newest, newest_month, taus, taus2, taus_x = scratch
    as_ofs = months.size
    for w in range(w_end - w_first):
        want = wants[w_first + w]
        for a in range(as_ofs + 1):
            number[w, a] = 0
            total[w, a] = 0
        if want & _WANT_SLOPE:
            for a in range(as_ofs + 1):
                taus[w, a] = 0
                taus2[w, a] = 0
                taus_x[w, a] = 0
        if want & _WANT_MAX:
            for a in range(as_ofs):
                high[w, a] = _LOWEST
        if want & _WANT_MIN:
            for a in range(as_ofs):
                low[w, a] = -_LOWEST
    longest = 0
    for w in range(w_first, w_end):
        longest = max(longest, 12 if lengths[w] == YEAR_TO_DATE else lengths[w])
    # Records too old for every window of every as-of are stepped over; they lie first.
    first, high_end = begin, end
    while first < high_end:
        middle = (first + high_end) // 2
        if event[middle] + ago + longest <= base:
            first = middle + 1
        else:
            high_end = middle
    for j in range(first, end):
        e, x = np.int64(event[j]), value[j]
        since = max(e + ago, known[j], base)
        gone = min(np.int64(superseded[j]), end_month)
        if since >= gone:
            continue
        a_0 = first_at[since - base]
        for w in range(w_end - w_first):
            length = lengths[w_first + w]
            out = e + ago + length if length != YEAR_TO_DATE else (e // 12 + 1) * 12 + ago
            until = min(out, gone)
            if until <= since:
                continue
            a_1 = first_at[until - base]
            number[w, a_0] += 1
            total[w, a_0] += x
            if a_1 < as_ofs:  # what lasts to the end need not be taken back
                number[w, a_1] -= 1
                total[w, a_1] -= x
            want = wants[w_first + w]
            if want & _WANT_MAX:
                for a in range(a_0, a_1):
                    high[w, a] = max(high[w, a], x)
            if want & _WANT_RARER:
                if want & _WANT_MIN:
                    for a in range(a_0, a_1):
                        low[w, a] = min(low[w, a], x)
                if want & _WANT_LAST:
                    for a in range(a_0, a_1):
                        newest[w, a] = x
                if want & _WANT_SINCE:
                    for a in range(a_0, a_1):
                        newest_month[w, a] = e
                if want & _WANT_SLOPE:
                    tau = e - base
                    taus[w, a_0] += tau
                    taus[w, a_1] -= tau
                    taus2[w, a_0] += tau * tau
                    taus2[w, a_1] -= tau * tau
                    taus_x[w, a_0] += tau * x
                    taus_x[w, a_1] -= tau * x
    for w in range(w_end - w_first):
        n, sum_x, tau, tau2, tau_x = 0, 0, 0, 0, 0
        want = wants[w_first + w]
        put, has = slot[w_first + w], some_slot[w_first + w]
        for a in range(as_ofs):
            n += number[w, a]
            sum_x += total[w, a]
            row = row_of[h, a]
            if want & _WANT_SLOPE:
                tau += taus[w, a]
                tau2 += taus2[w, a]
                tau_x += taus_x[w, a]
            if n == 0 or row < 0:
                continue
            if put[_SUM] >= 0:
                whole[put[_SUM], row] = sum_x
            if put[_COUNT] >= 0:
                small[put[_COUNT], row] = n
            if want & _WANT_MAX:
                whole[put[_MAX], row] = high[w, a]
            slope = True
            if want & _WANT_RARER:
                if want & _WANT_MIN:
                    whole[put[_MIN], row] = low[w, a]
                if want & _WANT_LAST:
                    whole[put[_LAST], row] = newest[w, a]
                if want & _WANT_SINCE:
                    small[put[_SINCE], row] = months[a] - newest_month[w, a]
                if put[_MEAN] >= 0:
                    real[put[_MEAN], row] = sum_x / n
                if want & _WANT_SLOPE:
                    # Months are counted from the end of the window, so that the figures stay small.
                    shift = months[a] - ago - base
                    back, back_x = tau - n * shift, tau_x - shift * sum_x
                    back2 = tau2 - 2 * shift * tau + n * shift * shift
                    length = _length(lengths, w_first + w, months[a] - ago)
                    if put[_TREND] >= 0 and length > 1:
                        spread = length * (length * length - 1) / 12
                        real[put[_TREND], row] = (back_x + (length - 1) / 2 * sum_x) / spread
                    slope = n * back2 != back * back
                    if put[_TREND_R] >= 0 and slope:
                        real[put[_TREND_R], row] = (float(n) * back_x - float(back) * sum_x) / (n * back2 - back * back)
            if want & _WANT_SOME:
                for op in range(has.size):
                    if has[op] >= 0:
                        some[has[op], row] = op != _TREND_R or slope


@numba.njit(nogil=True, cache=True)
def _month_by_month(
    begin, end, event, known, superseded, value, t, ago, w, w_end, lengths, slot, some_slot, row, real, some
):  # pragma: no cover  (compiled)
    """From the newest record back: nested windows are left one after the other, and told as they are left."""
    at = t - ago
    j = end - 1
    while j >= begin and event[j] > at:
        j -= 1
    # Squares are taken from a value of the row's own, so that they stay small.
    n, with_records, month, month_total = 0, 0, 0, 0
    shift, d1, d2 = 0.0, 0.0, 0.0
    month_shift, m1, m2 = 0.0, 0.0, 0.0
    while w < w_end:
        length = _length(lengths, w, at)
        edge = at - length
        while j >= begin and event[j] > edge:
            if known[j] <= t and t < superseded[j]:
                x = value[j]
                if n == 0 or event[j] != month:
                    if n > 0:
                        d = month_total - month_shift
                        m1 += d
                        m2 += d * d
                    with_records += 1
                    month, month_total = event[j], 0
                if n == 0:
                    shift = float(x)
                n += 1
                month_total += x
                if with_records == 1:
                    month_shift = float(month_total)
                d = x - shift
                d1 += d
                d2 += d * d
            j -= 1
        if n > 0:
            put = slot[w]
            if put[_WITH] >= 0:
                real[put[_WITH], row] = with_records / length
            if put[_SD] >= 0:
                d = month_total - month_shift
                zeros = length - with_records
                s1 = m1 + d - zeros * month_shift
                s2 = m2 + d * d + zeros * month_shift * month_shift
                real[put[_SD], row] = np.sqrt(max(s2 / length - (s1 / length) ** 2, 0.0))
            if put[_SD_R] >= 0:
                real[put[_SD_R], row] = np.sqrt(max(d2 / n - (d1 / n) ** 2, 0.0))
            for op in range(some_slot.shape[1]):
                if some_slot[w, op] >= 0:
                    some[some_slot[w, op], row] = op != _SD_R or n > 1
        w += 1


@numba.njit(nogil=True, cache=True)
def _held_until(j, top, event, until, known, superseded, person, t):  # pragma: no cover  (compiled)
    """A statement holds until its own end, or until the same person's next one begins; at once, if that is as new."""
    for q in range(j + 1, top + 1):
        if person[q] == person[j] and known[q] <= t and t < superseded[q]:
            return min(until[j], event[q])
    return until[j]


@numba.njit(nogil=True, cache=True)
def _as_status(
    begin, end, event, until, known, superseded, person, value, t, ago, w, w_end, lengths, slot,
    some_slot, row, whole, small, real, some,
):  # fmt: skip  # pragma: no cover  (compiled)
    at = t - ago
    j = end - 1
    while j >= begin and event[j] > at:
        j -= 1
    top = j
    # In which of the last 60 months it held at the month's end, as bits: also where it was stated before the window.
    held = np.uint64(0)
    bits_asked = False
    for q in range(w, w_end):
        bits_asked = bits_asked or slot[q, _WITH] >= 0
    if bits_asked:
        for j in range(begin, top + 1):
            if value[j] > 0 and known[j] <= t and t < superseded[j]:
                ends = _held_until(j, top, event, until, known, superseded, person, t)
                for m in range(max(event[j], at - 59), min(ends, at + 1)):
                    held |= np.uint64(1) << np.uint64(at - m)
    while w < w_end:
        length = _length(lengths, w, at)
        edge = at - length
        n, holding, newest = 0, 0, -1
        run, running = 0, True
        j = top
        while j >= begin and event[j] > edge:
            if known[j] <= t and t < superseded[j]:
                if newest < 0:
                    newest, run = j, event[j]
                elif running:
                    running = value[j] == value[newest] and until[j] >= run
                    if running:
                        run = event[j]
                if value[j] > 0 and until[j] > at:
                    holding += _held_until(j, top, event, until, known, superseded, person, t) > at
                n += 1
            j -= 1
        months_held = np.int64(0)
        for m in range(min(length, 60) if bits_asked else 0):
            months_held += np.int64((held >> np.uint64(m)) & np.uint64(1))
        if n > 0 or months_held > 0:
            holds = newest >= 0 and until[newest] > at
            put = slot[w]
            if holds and put[_LAST] >= 0:
                whole[put[_LAST], row] = value[newest]
            if holds and put[_DURATION] >= 0:
                small[put[_DURATION], row] = at - run
            if put[_HOLDING] >= 0:
                small[put[_HOLDING], row] = holding
            if put[_WITH] >= 0:
                real[put[_WITH], row] = months_held / length
            for op in range(some_slot.shape[1]):
                if some_slot[w, op] >= 0:
                    in_force = holds or (op != _LAST and op != _DURATION)
                    some[some_slot[w, op], row] = in_force and (n > 0 or op == _WITH)
        w += 1
