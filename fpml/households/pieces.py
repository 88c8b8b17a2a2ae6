"""Compiled loops behind `membership`."""

import numba
import numpy as np

from fpml.dates import FAR


@numba.njit(nogil=True, cache=True)
def find_moved(household, person, indicator, until_day, member, first, moved):  # pragma: no cover  (compiled)
    """Who was told of in more than one household, or left one."""
    for r in range(person.size):
        p = person[r]
        if p < 0:
            continue
        if first[p] < 0:
            first[p] = household[r]
        elif first[p] != household[r]:
            moved[p] = True
        if until_day.size and indicator[r] == member and until_day[r] < FAR:
            moved[p] = True


@numba.njit(nogil=True, cache=True)
def rows_of(person, moved, rows):  # pragma: no cover  (compiled)
    """Which rows tell of people who moved, and how many; with an empty array to write to, only how many."""
    n = 0
    for r in range(person.size):
        if person[r] >= 0 and moved[person[r]]:
            if rows.size:
                rows[n] = r
            n += 1
    return n


@numba.njit(nogil=True, cache=True)
def pieces(
    told, event_day, known, ends, person, follows, valid,
    edges, s_told, s_from, s_until, s_known, s_ends, s_from_month, s_until_month, month_ends, base,
    of, household, begins, finishes,
):  # fmt: skip  # pragma: no cover  (compiled)
    """Cuts each version where the household it belongs to changes; with empty arrays to write to, only counts.

    The statements (`s_`) of person p are those from `edges[p]` on. Nothing changes between the months in which one of
    them becomes known, is superseded, begins or ends: only these are looked at.
    """
    n = 0
    for r in range(person.size):
        if not valid[r] or ends[r] <= known[r]:
            continue
        begin, end = edges[person[r]], edges[person[r] + 1]
        at, since = np.int64(-2), np.int64(0)
        month = np.int64(known[r])
        while month < ends[r]:
            day = month_ends[min(month - base, month_ends.size - 1)] if follows[r] else event_day[r]
            later = np.int64(ends[r])
            chosen, earliest = -1, -1
            for q in range(begin, end):
                if s_known[q] > month:
                    later = min(later, s_known[q])
                    continue
                if month >= s_ends[q]:
                    continue
                later = min(later, s_ends[q])
                if follows[r] and s_from_month[q] > month:
                    later = min(later, s_from_month[q])
                if follows[r] and s_until_month[q] > month:
                    later = min(later, s_until_month[q])
                if s_from[q] <= day and (
                    chosen < 0
                    or s_from[q] > s_from[chosen]
                    or (s_from[q] == s_from[chosen] and s_told[q] > s_told[chosen])
                ):
                    chosen = q
                if (
                    earliest < 0
                    or s_from[q] < s_from[earliest]
                    or (s_from[q] == s_from[earliest] and s_told[q] > s_told[earliest])
                ):
                    earliest = q
            if chosen < 0:
                chosen = earliest
            now = told[r]
            if chosen >= 0:
                now = s_told[chosen]
                if follows[r] and s_until[chosen] < day:
                    now = -1  # left, or died: of no household any more
            if now != at:
                if at >= 0:
                    if of.size:
                        of[n], household[n], begins[n], finishes[n] = r, at, since, month
                    n += 1
                at, since = now, month
            month = later
        if at >= 0:
            if of.size:
                of[n], household[n], begins[n], finishes[n] = r, at, since, ends[r]
            n += 1
    return n
