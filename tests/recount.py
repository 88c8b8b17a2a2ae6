"""A review counted once more, in pandas and plain loops, from what a county's verbs tell: nothing of `fpml.review`."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

import fpml
from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.households import cohort
from fpml.rules import hits

PUSHED = ["high"]


def month(day: object) -> int:
    return pd.Timestamp(day).year * 12 + pd.Timestamp(day).month - 1


@dataclass
class Recount:
    """`rows`: one a household and as-of; `falls`: household, month and cause, all that the truth knows."""

    county: fpml.County
    as_ofs: list[AsOf]  # those of the year before too: their lists are walked and not counted
    first: int  # the position from which on they are counted
    times: list[dict[int, int]]  # for each draw how often each village is in it
    walked: dict[str, list[list[tuple[str, int]]]] = field(default_factory=dict)

    @property
    def catalogue(self) -> Catalogue:
        return self.county.catalogue

    @cached_property
    def rows(self) -> pd.DataFrame:
        parts = []
        self.county.histories(*self.as_ofs)  # all at once: `at` and `scores` then find them
        for as_of in self.as_ofs:
            told = self.county.at(as_of)
            frame = pd.DataFrame({"household": told["household_id"].to_pandas().astype(str), "month": as_of.month})
            for name, held in hits(told, self.catalogue).items():
                frame[name] = held
            frame["village"] = told["village__last__ever"].to_pandas().fillna(-1).astype("int64").to_numpy()
            frame["free"] = told["monitored__holding__ever"].to_pandas().fillna(0).to_numpy() <= 0
            frame["paid"] = told["medical_self_paid__sum__12m"].to_pandas().fillna(0).to_numpy()
            frame["type"] = cohort(told, self.catalogue)
            scores = self._scores(as_of)
            ranking = self.catalogue.county.ranked_by or scores.horizon.min()
            nearest = scores[scores.horizon == ranking]
            order = {name: i for i, name in enumerate(self.catalogue.county.outcomes)}
            last = nearest.assign(place=nearest.outcome.map(order)).sort_values("place")
            frame["score"] = frame.household.map(
                last.drop_duplicates("household_id", keep="last").set_index("household_id").probability
            )
            for key, grouping in self.catalogue.review.groups.items():
                frame[key] = self._kind(told, grouping)
            parts.append(frame)
        rows = pd.concat(parts, ignore_index=True)
        # A household counts for the village that it was last known in.
        latest = rows.sort_values("month").drop_duplicates("household", keep="last").set_index("household").village
        rows["village"] = rows.household.map(latest)
        rows["township"] = np.where(rows.village < 0, -1, rows.village // 1000)
        names = [n for n, r in self.catalogue.rules.items() if r.channel == "department"]
        listing = self.listing
        rows["hit"] = rows[[n for n in names if self.catalogue.rules[n].severity in PUSHED]].any(axis=1)
        rows["sibling"] = rows[
            [n for n, r in self.catalogue.rules.items() if r.channel != "department"] or ["hit"]
        ].any(axis=1)
        rows["fresh"] = self.news(rows, rows[listing])
        rows["counted"] = rows.free & (rows.month >= self.months[self.first])
        rows["place"] = rows[rows.free].groupby("month").score.rank(ascending=False, method="min")
        return rows

    @property
    def listing(self) -> list[str]:
        """What lists by itself: departments' rules that push, declarations and cadres' finds."""
        return [n for n, r in self.catalogue.rules.items() if r.channel != "department" or r.severity in PUSHED]

    @staticmethod
    def news(rows: pd.DataFrame, held: pd.DataFrame) -> pd.Series:
        """Which rows are hit by some rule that did not hit the household at the as-of before."""
        ordered = rows.sort_values(["household", "month"])
        now = held.loc[ordered.index]
        follows = ordered.groupby("household").month.shift(1) == ordered.month - 1
        before = now.groupby(ordered.household).shift(1).fillna(False).astype(bool).mul(follows, axis=0)
        return (now & ~before).any(axis=1).reindex(rows.index)

    def _scores(self, as_of: AsOf) -> pd.DataFrame:
        """Every probability of an as-of; none before a model had been trained."""
        try:
            return self.county.scores(as_of)
        except NotYetError:
            return pd.DataFrame({"household_id": [], "outcome": [], "horizon": [], "probability": []})

    def _kind(self, told: object, grouping: object) -> list[str]:
        from fpml.households import hold_together

        out = np.full(told.num_rows, "", object)  # type: ignore[attr-defined]
        for key, group in grouping.kinds.items():  # type: ignore[attr-defined]
            held = hold_together(group.all, (), told, self.catalogue)[0]
            out[held & (out == "")] = key
        return list(out)

    @cached_property
    def village(self) -> dict[str, int]:
        return dict(zip(self.rows.household, self.rows.village, strict=True))

    @cached_property
    def all_falls(self) -> pd.DataFrame:
        states = pd.read_parquet(self.county.workspace.truth / "states.parquet").sort_values(["household_id", "month"])
        states["household"] = states.household_id.astype(str)
        states["trouble"] = states.below | (states.failing > 0)
        grouped = states.groupby("household")
        was, found = grouped.trouble.shift(1), grouped.monitored.shift(1)
        follows = grouped.month.shift(1) == states.month - 1
        fell = states[follows & states.trouble & (was == False) & (found == 0)]  # noqa: E712
        fell = fell[fell.household.isin(set(self.rows.household))]
        return fell[["household", "month", "cause"]].reset_index(drop=True)

    @cached_property
    def truth_to(self) -> int:
        return int(pd.read_parquet(self.county.workspace.truth / "states.parquet", columns=["month"]).month.max())

    @cached_property
    def months(self) -> list[int]:
        return [a.month for a in self.as_ofs]

    def judged(self, events: pd.DataFrame) -> pd.DataFrame:
        """Those that a list could have found: watched at the last list before."""
        watched = set(zip(self.rows.household, self.rows.month, strict=True))
        keep = [
            self.months[self.first] < m <= self.months[-1] + 1 and (h, max(x for x in self.months if x < m)) in watched
            for h, m in zip(events.household, events.month, strict=True)
        ]
        return events[keep].reset_index(drop=True)

    @cached_property
    def falls(self) -> pd.DataFrame:
        return self.judged(self.all_falls)

    def walk(self, name: str, always: pd.Series, best: pd.Series, visits: "Callable[[int, int], float]") -> None:
        """Lists rows in every draw; `visits(draw, as-of)`: how many visits the model may fill."""
        some = self.rows[(always | best) & self.rows.free]
        by_month = {m: part for m, part in some.assign(always=always, best=best).groupby("month")}  # noqa: C416
        self.walked[name] = [
            self._walk(by_month, times, lambda m, d=d: visits(d, m)) for d, times in enumerate(self.times)
        ]

    def _walk(
        self, by_month: dict[int, pd.DataFrame], times: dict[int, int], visits: "Callable[[int], float]"
    ) -> list[tuple[str, int]]:
        listed: list[tuple[str, int]] = []
        last: dict[str, int] = {}
        for at, now in enumerate(self.months):
            part = by_month.get(now)
            if part is None:
                continue
            left = visits(at)
            queue = [(r, True) for r in part[part.always].itertuples()]
            queue += [
                (r, False) for r in part[part.best].sort_values("score", ascending=False, kind="stable").itertuples()
            ]
            for r, held in queue:
                n = times.get(r.village, 0)
                before = last.get(r.household)
                rests = before is not None and (before == now or (now - before < 6 and not r.fresh))
                if not n or rests or (not held and left < n):
                    continue
                last[r.household] = now
                listed.append((r.household, now))
                left -= n
        return listed

    def listed(self, name: str) -> list[tuple[str, int]]:
        """Whom a walk listed in the county as it was, at the as-ofs that are counted."""
        return [x for x in self.walked[name][0] if x[1] >= self.months[self.first]]

    def a_month(self, name: str, draw: int) -> float:
        return float(np.mean([self.visits(name, draw, at) for at in range(self.first, len(self.as_ofs))]))

    def visits(self, name: str, draw: int, at: int) -> int:
        times = self.times[draw]
        return sum(times[self.village[h]] for h, m in self.walked[name][draw] if m == self.months[at])

    def leads(self, name: str, draw: int, events: pd.DataFrame) -> list[int]:
        listed: dict[str, list[int]] = {}
        for h, m in self.walked[name][draw]:
            listed.setdefault(h, []).append(m)
        return [max((t - m for m in listed.get(h, []) if 1 <= t - m <= 12), default=0)
                for h, t in zip(events.household, events.month, strict=True)]  # fmt: skip

    def sums(self, name: str, events: pd.DataFrame) -> pd.DataFrame:
        """One row a draw: events, those found, and months of lead, each as often as its village was drawn."""
        out = []
        for draw, times in enumerate(self.times):
            weight = np.array([times.get(self.village[h], 0) for h in events.household])
            lead = np.array(self.leads(name, draw, events))
            out.append((weight.sum(), (weight * (lead > 0)).sum(), (weight * lead).sum()))
        return pd.DataFrame(out, columns=["events", "found", "months"], dtype=float)

    def of_listed(self, name: str, value: dict[tuple[str, int], float]) -> np.ndarray:
        return np.array(
            [
                sum(
                    times[self.village[h]] * value.get((h, m), 0.0)
                    for h, m in self.walked[name][d]
                    if m >= self.months[self.first]
                )
                for d, times in enumerate(self.times)
            ]
        )

    @cached_property
    def fell(self) -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], float]]:
        """For each row whether a fall came within twelve months, and whether these are known."""
        by: dict[str, list[int]] = {}
        for h, m in zip(self.all_falls.household, self.all_falls.month, strict=True):
            by.setdefault(h, []).append(m)
        came, known = {}, {}
        for h, m in zip(self.rows.household, self.rows.month, strict=True):
            known[h, m] = float(m + 12 <= self.truth_to)
            came[h, m] = known[h, m] * any(0 < t - m <= 12 for t in by.get(h, []))
        return came, known

    @cached_property
    def below(self) -> dict[tuple[str, int], float]:
        """For each row whether its household is below the line, or a guarantee fails, and nobody has found it."""
        states = pd.read_parquet(self.county.workspace.truth / "states.parquet")
        bad = states[(states.below | (states.failing > 0)) & (states.monitored == 0)]
        there = set(zip(bad.household_id.astype(str), bad.month, strict=True))
        return {k: float(k in there) for k in zip(self.rows.household, self.rows.month, strict=True)}

    @cached_property
    def verified(self) -> pd.DataFrame:
        records = self.county.records("verified", AsOf(month(self.county.ledger.known_span()[1])))
        return pd.DataFrame({"household": records.household_id.astype(str), "day": pd.to_datetime(records.event_date),
                             "confirmed": records.value == 2})  # fmt: skip

    @cached_property
    def looked(self) -> pd.DataFrame:
        """For each row the days to the first verification after it (infinite: none), and whether it was confirmed."""
        by: dict[str, list[tuple[pd.Timestamp, bool]]] = {}
        for r in self.verified.sort_values("day").itertuples():
            by.setdefault(r.household, []).append((r.day, r.confirmed))
        out = []
        for h, m in zip(self.rows.household, self.rows.month, strict=True):
            end = pd.Timestamp(AsOf(m).date)
            after = [(d, c) for d, c in by.get(h, []) if d > end]
            out.append(((after[0][0] - end).days if after else np.inf, after[0][1] if after else False))
        return pd.DataFrame(out, columns=["days", "confirmed"], index=self.rows.index)

    def share(self, part: Iterable[bool], whole: Iterable[bool]) -> tuple[float, float, float]:
        """A share with its interval: sums by village, as often as each was drawn."""
        frame = pd.DataFrame({"village": self.rows.village, "part": part, "whole": whole})
        sums = frame[frame.whole].groupby("village")[["part", "whole"]].sum()
        parts = [sum(t.get(v, 0) * r.part for v, r in sums.iterrows()) for t in self.times]
        wholes = [sum(t.get(v, 0) * r.whole for v, r in sums.iterrows()) for t in self.times]
        return self.share_of(parts, wholes)

    @property
    def reach(self) -> float:
        """Standard errors to either side with so few villages."""
        n = len(self.times[0])
        return stats.t(n - 1).isf(0.025) * (n / (n - 1)) ** 0.5

    def spread(self, values: Iterable[float]) -> tuple[float, float, float]:
        """The first value, and the quantiles of the draws that are numbers, a little wider than the middle 95 %."""
        first, *rest = values
        rest = [v for v in rest if np.isfinite(v)]
        tail = 100 * stats.norm.sf(self.reach)
        return (first, *np.percentile(rest, [tail, 100 - tail])) if rest else (first, np.nan, np.nan)

    def share_of(self, parts: Iterable[float], wholes: Iterable[float]) -> tuple[float, float, float]:
        """A share with its interval on the scale of log-odds; of few cases the exact one and that of the draws."""
        parts, wholes = list(parts), list(wholes)
        shares = [p / w if w else np.nan for p, w in zip(parts, wholes, strict=True)]
        told = self.spread(shares)
        k, n = round(parts[0]), round(wholes[0])
        if not n:
            return told
        if min(k, n - k) < 10:
            low = stats.beta(k, n - k + 1).ppf(0.025) if k else 0.0
            high = stats.beta(k + 1, n - k).ppf(0.975) if k < n else 1.0
            return told[0], np.nanmin([told[1], low]), np.nanmax([told[2], high])
        odds = [math.log(s / (1 - s)) for s in np.clip(shares, 1e-9, 1 - 1e-9)]
        half = self.reach * np.nanstd(odds[1:], ddof=1)
        return told[0], *(1 / (1 + math.exp(-x)) for x in (odds[0] - half, odds[0] + half))
