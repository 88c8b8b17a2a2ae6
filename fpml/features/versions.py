"""Compiled loops over a shard's versions: put in order, and told until when each one stood."""

import numba
import numpy as np

from fpml.dates import NEVER

# From so many versions of one household and indicator on, they are sorted by merging instead of by insertion.
MANY = 48


@numba.njit(nogil=True, cache=True)
def count(facts, position, indicators, starts, at):  # pragma: no cover  (compiled)
    """A counting sort: where each household's and indicator's rows begin (from place 1 on), and the rows in order."""
    # Arrays are taken out of their tuples once: inside a loop each look at one would be counted as a reference.
    household, indicator, piece_household = facts.household, facts.indicator, facts.piece_household
    rows = household.size
    for counted in (True, False):
        for r in range(indicator.size):
            i, h = indicator[r], position[household[r] if r < rows else piece_household[r - rows]]
            if i < 0 or h < 0:
                continue
            s = np.int64(h) * indicators + i
            if counted:
                starts[s + 2] += 1
            else:
                at[starts[s + 1]] = r
                starts[s + 1] += 1
        if counted:
            for s in range(2, starts.size):
                starts[s] += starts[s - 1]


@numba.njit(nogil=True, cache=True)
def tell(indicator, event_day, known_day, event_base, known_base, event, known, group, number):  # pragma: no cover
    """Counts the rows by group, event month and known month."""
    for r in range(indicator.size):
        g = group[indicator[r]]
        if g >= 0:
            number[g, event[event_day[r] - event_base], known[known_day[r] - known_base]] += 1


@numba.njit(nogil=True, cache=True)
def stand(facts, starts, at, base, month_of_day, entries):  # pragma: no cover  (compiled)
    """For each household and indicator: which versions stood, from when until when, oldest event first.

    Writes the entries and returns how many there are.
    """
    event_day, known_day, until_day, fact = facts.event_day, facts.known_day, facts.until_day, facts.fact
    piece_of, begins, finishes, withdrawn = facts.piece_of, facts.begins, facts.finishes, facts.withdrawn
    person_of, value_of, kept = facts.person, facts.value, entries.starts
    event, until, known, superseded = entries.event, entries.until, entries.known, entries.superseded
    person, value = entries.person, entries.value
    n, room, rows = 0, 64, facts.household.size
    row, day, learnt, since, ends = _room(room)
    for s in range(starts.size - 1):
        kept[s] = n
        begin, size = starts[s], starts[s + 1] - starts[s]
        if size > room:
            room = 2 * size
            row, day, learnt, since, ends = _room(room)
        ordered, numbered = True, False
        for i in range(size):
            r = at[begin + i]
            since[i], ends[i] = -1, NEVER
            if r >= rows:
                since[i], ends[i] = begins[r - rows], finishes[r - rows]
                r = piece_of[r - rows]
            row[i], day[i], learnt[i] = r, event_day[r], known_day[r]
            ordered = ordered and (i == 0 or day[i] > day[i - 1])
            numbered = numbered or (since[i] < 0 and fact[r] & 1 == 1)
        if not ordered and size > MANY:
            _sort(row, day, learnt, since, ends, size, value_of, until_day)
        elif not ordered:
            _insert(row, day, learnt, since, ends, size, value_of, until_day)
        if numbered or not ordered:
            settled = not numbered and _supersede_by_day(row, day, learnt, since, ends, size, fact, base, month_of_day)
            if not settled and _several(row, since, size, fact):
                _supersede(row, learnt, since, ends, size, fact, base, month_of_day)
        for i in range(size):
            r = row[i]
            month = since[i] if since[i] >= 0 else month_of_day[learnt[i] - base]
            if ends[i] <= month or (withdrawn.size and withdrawn[r]):
                continue
            event[n] = month_of_day[day[i] - base]
            until[n] = _month(until_day[r] + 1) if until_day.size else NEVER
            known[n], superseded[n] = month, ends[i]
            person[n], value[n] = person_of[r], value_of[r]
            n += 1
    kept[starts.size - 1] = n
    return n


@numba.njit(nogil=True, cache=True)
def _room(size):  # pragma: no cover  (compiled)
    """Of one household's and indicator's rows: which, event and known days, since when (-1: when known), until when."""
    row, day, learnt = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    return row, day, learnt, np.empty(size, np.int16), np.empty(size, np.int16)


@numba.njit(nogil=True, cache=True)
def _sort(row, day, learnt, since, ends, size, value_of, until_day):  # pragma: no cover  (compiled)
    """Sorts many rows as `_insert` does."""
    order = np.argsort(value_of[row[:size]], kind="mergesort")
    if until_day.size:
        order = np.argsort(until_day[row[:size]], kind="mergesort")
        order = order[np.argsort(value_of[row[:size][order]], kind="mergesort")]
    order = order[np.argsort(learnt[:size][order], kind="mergesort")]
    order = order[np.argsort(day[:size][order], kind="mergesort")]
    row[:size], day[:size], learnt[:size] = row[:size][order], day[:size][order], learnt[:size][order]
    since[:size], ends[:size] = since[:size][order], ends[:size][order]


@numba.njit(nogil=True, cache=True)
def _insert(row, day, learnt, since, ends, size, value_of, until_day):  # pragma: no cover  (compiled)
    """Sorts by event day, when it became known, value and last day; what is nearly in order costs next to nothing."""
    for i in range(1, size):
        r, d, k, b, e = row[i], day[i], learnt[i], since[i], ends[i]
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
            row[j + 1], day[j + 1], learnt[j + 1], since[j + 1], ends[j + 1] = (
                row[j],
                day[j],
                learnt[j],
                since[j],
                ends[j],
            )
            j -= 1
        row[j + 1], day[j + 1], learnt[j + 1], since[j + 1], ends[j + 1] = r, d, k, b, e


@numba.njit(nogil=True, cache=True)
def _supersede_by_day(row, day, learnt, since, ends, size, fact, base, month_of_day):  # pragma: no cover  (compiled)
    """The same where no fact is numbered: versions lie on one day, in the order of knowing. False: too many a day."""
    looked = 0
    for i in range(size - 1):
        j = i + 1
        while j < size and day[j] == day[i]:
            if since[i] < 0 and since[j] < 0 and fact[row[j]] == fact[row[i]]:
                ends[i] = min(ends[i], month_of_day[learnt[j] - base])
                break
            j += 1
            looked += 1
        if looked > 8 * size:
            return False
    return True


@numba.njit(nogil=True, cache=True)
def _several(row, since, size, fact):  # pragma: no cover  (compiled)
    """Whether some fact has more than one version."""
    places = 4
    while places < 2 * size:
        places *= 2
    table = np.full(places, -1, np.int32)
    for i in range(size):
        if since[i] >= 0:
            continue
        key = fact[row[i]]
        at = (key >> 1) & (places - 1)
        while table[at] >= 0 and fact[row[table[at]]] != key:
            at = (at + 1) & (places - 1)
        if table[at] >= 0:
            return True
        table[at] = i
    return False


@numba.njit(nogil=True, cache=True)
def _supersede(row, learnt, since, ends, size, fact, base, month_of_day):  # pragma: no cover  (compiled)
    """Each version ends in the month in which the next one of its fact became known. Of pieces that is settled."""
    order = np.argsort(learnt[:size], kind="mergesort")
    keys = np.empty(size, np.int64)
    for i in range(size):
        keys[i] = fact[row[order[i]]] if since[order[i]] < 0 else 0
    by_fact = np.argsort(keys, kind="mergesort")
    for i in range(size - 1):
        this, later = order[by_fact[i]], order[by_fact[i + 1]]
        if keys[by_fact[i]] != 0 and keys[by_fact[i]] == keys[by_fact[i + 1]]:
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
