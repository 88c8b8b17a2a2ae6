"""Compiled loops over a shard's versions: put in order, and told until when each one stood."""

import numba
import numpy as np

from fpml.dates import NEVER


@numba.njit(nogil=True, cache=True)
def count(household, indicator, indicators, starts, at):  # pragma: no cover  (compiled)
    """A counting sort: where each household's and indicator's rows begin (from place 1 on), and the rows in order."""
    for r in range(household.size):
        if indicator[r] >= 0 and household[r] >= 0:
            starts[household[r] * indicators + indicator[r] + 2] += 1
    for s in range(2, starts.size):
        starts[s] += starts[s - 1]
    for r in range(household.size):
        if indicator[r] >= 0 and household[r] >= 0:
            s = household[r] * indicators + indicator[r] + 1
            at[starts[s]] = r
            starts[s] += 1


@numba.njit(nogil=True, cache=True)
def tell(indicator, event_day, known_day, event_base, known_base, event, known, group, number):  # pragma: no cover
    """Counts the rows by group, event month and known month."""
    for r in range(indicator.size):
        g = group[indicator[r]]
        if g >= 0:
            number[g, event[event_day[r] - event_base], known[known_day[r] - known_base]] += 1


@numba.njit(nogil=True, cache=True)
def stand(
    starts, at, event_day, until_day, known_day, fact, withdrawn, begins, given, person_of, value_of, base,
    month_of_day, kept, event, until, known, superseded, person, value,
):  # fmt: skip  # pragma: no cover  (compiled)
    """For each household and indicator: which versions stood, from when until when, oldest event first."""
    n, room = 0, 64
    row, day, learnt = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    ends = np.empty(room, np.int16)
    for s in range(starts.size - 1):
        kept[s] = n
        begin, size = starts[s], starts[s + 1] - starts[s]
        if size == 0:
            continue
        if size > room:
            room = 2 * size
            row, day, learnt = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
            ends = np.empty(room, np.int16)
        ordered, numbered = True, False
        for i in range(size):
            r = at[begin + i]
            row[i], day[i], learnt[i] = r, event_day[r], known_day[r]
            ends[i] = given[r] if given.size else NEVER
            ordered = ordered and (i == 0 or day[i] > day[i - 1])
            numbered = numbered or fact[r] & 1 == 1
        if not ordered:
            if size > 48:
                by_day = np.argsort(day[:size], kind="mergesort")
                for i in range(size):
                    r = at[begin + by_day[i]]
                    row[i], day[i], learnt[i] = r, event_day[r], known_day[r]
                    ends[i] = given[r] if given.size else NEVER
            _insert(row, day, learnt, ends, size, value_of, until_day)
        if numbered or not ordered:
            settled = not numbered and _supersede_by_day(row, day, learnt, ends, size, fact, base, month_of_day)
            if not settled and _several(row, size, fact):
                _supersede(row, learnt, ends, size, fact, base, month_of_day)
        for i in range(size):
            r = row[i]
            month = month_of_day[learnt[i] - base]
            if begins.size and begins[r] >= 0:
                month = begins[r]
            if ends[i] <= month or (withdrawn.size and withdrawn[r]):
                continue
            event[n] = month_of_day[day[i] - base]
            until[n] = NEVER
            if until_day.size:
                until[n] = _month(until_day[r] + 1)
            known[n], superseded[n] = month, ends[i]
            person[n], value[n] = person_of[r], value_of[r]
            n += 1
    kept[starts.size - 1] = n
    return n


@numba.njit(nogil=True, cache=True)
def _insert(row, day, learnt, ends, size, value_of, until_day):  # pragma: no cover  (compiled)
    """Sorts by event day, when it became known, value and last day; what is nearly in order costs next to nothing."""
    for i in range(1, size):
        r, d, k, e = row[i], day[i], learnt[i], ends[i]
        j = i - 1
        while j >= 0:
            if day[j] != d:
                after = day[j] > d
            elif learnt[j] != k:
                after = learnt[j] > k
            elif value_of[row[j]] != value_of[r]:
                after = value_of[row[j]] > value_of[r]
            else:
                after = until_day.size > 0 and until_day[row[j]] > until_day[r]
            if not after:
                break
            row[j + 1], day[j + 1], learnt[j + 1], ends[j + 1] = row[j], day[j], learnt[j], ends[j]
            j -= 1
        row[j + 1], day[j + 1], learnt[j + 1], ends[j + 1] = r, d, k, e


@numba.njit(nogil=True, cache=True)
def _supersede_by_day(row, day, learnt, ends, size, fact, base, month_of_day):  # pragma: no cover  (compiled)
    """The same where no fact is numbered: versions lie on one day, in the order of knowing. False: too many a day."""
    looked = 0
    for i in range(size - 1):
        j = i + 1
        while j < size and day[j] == day[i]:
            if fact[row[j]] == fact[row[i]] and fact[row[i]] != 0:
                ends[i] = min(ends[i], month_of_day[learnt[j] - base])
                break
            j += 1
            looked += 1
        if looked > 8 * size:
            return False
    return True


@numba.njit(nogil=True, cache=True)
def _several(row, size, fact):  # pragma: no cover  (compiled)
    """Whether some fact has more than one version."""
    places = 4
    while places < 2 * size:
        places *= 2
    table = np.full(places, -1, np.int32)
    for i in range(size):
        key = fact[row[i]]
        if key == 0:
            continue
        at = (key >> 1) & (places - 1)
        while table[at] >= 0 and fact[row[table[at]]] != key:
            at = (at + 1) & (places - 1)
        if table[at] >= 0:
            return True
        table[at] = i
    return False


@numba.njit(nogil=True, cache=True)
def _supersede(row, learnt, ends, size, fact, base, month_of_day):  # pragma: no cover  (compiled)
    """Each version ends in the month in which the next one of its fact became known. Facts of key 0 are settled."""
    order = np.argsort(learnt[:size], kind="mergesort")
    keys = np.empty(size, np.int64)
    for i in range(size):
        keys[i] = fact[row[order[i]]]
    by_fact = np.argsort(keys, kind="mergesort")
    for i in range(size - 1):
        this, later = order[by_fact[i]], order[by_fact[i + 1]]
        if fact[row[this]] == fact[row[later]] and fact[row[this]] != 0:
            ends[this] = min(ends[this], month_of_day[learnt[later] - base])


@numba.njit(nogil=True, cache=True)
def _month(day):  # pragma: no cover  (compiled)
    """The month of a day since 1970 (Hinnant's civil calendar), no later than the last that is told apart."""
    z = day + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    mp = (5 * (doe - (365 * yoe + yoe // 4 - yoe // 100)) + 2) // 153
    month = mp + 2 if mp < 10 else mp - 10
    year = yoe + era * 400 + (1 if month < 2 else 0)
    return min(year * 12 + month, NEVER)
