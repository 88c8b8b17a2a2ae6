"""A backtest, whole: every method forward in time, its lists walked at the same visits, and what came of it.

Two kinds of events are told apart, and never merged: households identified (entered in the register, which is what
models learn), and true falls, which a simulated county alone knows. Findings are counted on falls where they are known.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from fpml.catalogue import Catalogue
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.features import Run
from fpml.measure import Bound, Curve, Draws, Events, Falls, NoBound, Outcome, Panel, curve, kept, watched
from fpml.measure.backtest import PROBABLE, Said, known_labels
from fpml.measure.calibration import holm
from fpml.measure.metrics import Bools, Floats, Ints
from fpml.measure.skill import OURS, Judged, told
from fpml.outcomes import risk_set
from fpml.review.sides import Sides
from fpml.rules import pushed

FALL, IDENTIFIED = "fall", "identified"
RULES, WITH_RULES, GRAVEST = "any rule that pushes", "fpml with rules", "rules, gravest first"
# The lists of so many origins, at the most, are walked before counting begins: who was listed by then is known.
WARM = 6
# The capacities that are tried, as shares of the one in force.
ALONG = (1 / 3, 1, 2, 10 / 3)
# Of the rules' own visits so many hundredths are tried, to see with how many the model finds as much.
FRACTIONS = (5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90, 100)


@dataclass(frozen=True)
class Backtest:
    """What a backtest came to. Frames of one row a method (rule, group, horizon); intervals are 95 %, by village.

    `skill`: by kind of event, outcome, horizon and method. `calibration`: verdicts, and `cells` their cells. `found`:
    by capacity and method. `rules`: each rule at its own visits, ours at as many. `groups`: any rule and ours at as
    many, by cause and outcome. `bound`: visits and share missed; `promises`: what each origin was promised, and came.
    """

    about: dict[str, object]
    skill: pd.DataFrame
    calibration: pd.DataFrame
    cells: pd.DataFrame
    found: pd.DataFrame
    rules: pd.DataFrame
    groups: pd.DataFrame
    bound: pd.DataFrame
    promises: pd.DataFrame

    def as_json(self) -> dict[str, object]:
        """Everything as lists of rows, for a program; what is not a number is null."""
        frames = {k: v for k, v in vars(self).items() if isinstance(v, pd.DataFrame)}
        return {"about": self.about} | {k: json.loads(v.to_json(orient="records")) for k, v in frames.items()}

    def metrics(self) -> dict[str, float]:
        """The figures that are tracked: numbers of methods, none of a person."""
        out: dict[str, float] = {}
        for r in self.skill.to_dict("records"):
            if r["method"] == OURS:
                where = f"{r['kind']}/{r['outcome']}/{r['horizon']}m"
                out |= {f"{where}/{k}": r[k] for k in ("auc", "average_precision", "brier", "expected_over_observed")}
        for r in self.rules.to_dict("records"):
            if r["rule"] == RULES:
                out |= {k: r[k] for k in ("found", "found_ours", "ratio", "ratio_low", "lead_gain")}
        return {k: float(v) for k, v in out.items() if np.isfinite(v)}


@dataclass(frozen=True)
class Tested:
    """What was said at every origin, beside what came: all figures are counted from it.

    `panel`: the origins' histories with what rules read (and later as-ofs where falls are read from records); `events`:
    falls up to the month `known_to`, each with the code of its `cause` (0: not known); `below`: rows of households that
    had fallen by then; `told`: what outcomes read at all as-ofs; `truth`: falls are the simulator's.
    """

    catalogue: Catalogue
    said: Sequence[Said]
    panel: Panel
    events: Events
    cause: Ints
    below: Bools
    known_to: int
    told: pa.Table
    truth: bool
    times: int
    run: Run

    @cached_property
    def draws(self) -> Draws:
        """The draws of villages that all figures share."""
        return Draws.of(self.panel.villages[0].size, times=self.times)

    @cached_property
    def _row(self) -> list[Ints]:
        """For what was said each time the panel's rows of its households."""
        at = {a.month: n for n, a in enumerate(self.panel.as_ofs)}
        return [self.panel.row[self.panel.position(s.households), at[s.origin.month]].astype(np.int64)
                for s in self.said]  # fmt: skip

    def ranking(self, method: str) -> Floats:
        """Each row's score by a method at the horizon that lists are ranked by; NaN where it says nothing."""
        out = np.full(self.panel.household.size, np.nan)
        for s, rows in zip(self.said, self._row, strict=True):
            out[rows] = s.at(method, self.catalogue.county.ranking(s.outcome))
        return out

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """All methods that rank everybody."""
        return tuple(self.said[0].score)

    def judged(self, kind: str) -> Iterator[Judged]:
        """What was said beside what came, outcome by outcome and horizon by horizon; without those nobody fell in."""
        for outcome in dict.fromkeys(s.outcome for s in self.said):
            mine = [i for i, s in enumerate(self.said) if s.outcome == outcome]
            for horizon in self.said[mine[0]].horizons:
                some = [i for i in mine if horizon in self.said[i].horizons]
                labels = [self._label(kind, i, horizon) for i in some]
                known = [of >= 0 for of in labels]
                if not any((of == 1).any() for of in labels):
                    continue
                score = {
                    m: np.concatenate([self.said[i].at(m, horizon)[k] for i, k in zip(some, known, strict=True)])
                    for m in self.methods
                }
                village = np.concatenate(
                    [self.panel.villages[1][self.panel.household[self._row[i][k]]]
                     for i, k in zip(some, known, strict=True)]
                )  # fmt: skip
                fell = np.concatenate([of[k] == 1 for of, k in zip(labels, known, strict=True)])
                origins = sum(bool(k.any()) for k in known)
                yield Judged(outcome, horizon, score, PROBABLE, fell, village.astype(np.int64), origins)

    def _label(self, kind: str, i: int, horizon: int) -> Ints:
        if kind == IDENTIFIED:
            return known_labels(self.told, self.said[i], horizon, self.catalogue)
        within, known = self._within(horizon)
        rows = self._row[i]
        # Of who is below the line already no new fall is to come: these are detected, not foreseen.
        return np.where(known[rows] & ~self.below[rows], within[rows].astype(np.int64), -1)

    def _within(self, horizon: int) -> tuple[Bools, Bools]:
        return self.panel.falls_within(self.events, horizon, known_to=self.known_to)

    @cached_property
    def sides(self) -> Sides:
        """Rules and ours side by side."""
        return Sides.of(
            self.panel, self.ranking(OURS), self.events, known_to=self.known_to, times=self.times, run=self.run
        )

    def by(self, method: str) -> Sides:
        """The same, with another method's scores in the place of ours."""
        return self.sides if method == OURS else replace(self.sides, score=self.ranking(method))

    @cached_property
    def rules(self) -> Outcome:
        """The departments' rules that push, at their own visits."""
        return self.sides.rules_alone()

    @cached_property
    def ours_at_rules(self) -> Outcome:
        """Ours, at as many visits an as-of as the rules made in each draw."""
        return self.sides.model_alone(self.rules.visits)

    def found(self) -> pd.DataFrame:
        """One row a capacity and method: what its lists found, how early, how precisely, and how much less than ours.

        `fpml with rules` is the list in force: every hit, then ours. At the capacity in force every method is there,
        along it the probabilities and the rules; chances that ours is no better are corrected after Holm.
        """
        rows = []
        visits = self.catalogue.county.visits
        for each in sorted({max(1, round(visits * share)) for share in ALONG}):
            walked = dict(self._walked(each, [m for m in self.methods if each == visits or m in PROBABLE]))
            ours = walked[OURS]
            mine = [self._row_of(m, o, ours) | {"visits": each, "method": m} for m, o in walked.items()]
            rows += corrected(mine, [r for r in mine if r["method"] not in (OURS, WITH_RULES)], "chance")
        return pd.DataFrame(rows)

    def _walked(self, visits: int, methods: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
        for method in methods:
            yield method, self.by(method).model_alone(visits)
        yield WITH_RULES, self.sides.in_force(visits)
        yield GRAVEST, self.sides.gravest(visits)

    def _row_of(self, method: str, o: Outcome, ours: Outcome) -> dict[str, object]:
        fell, known = self.sides.fell
        falls, draws = o.falls(), self.draws
        gain = shares_of(ours.found(), falls) - shares_of(o.found(), falls)
        return {
            **told("found", draws.share(o.found(), falls)),
            **told("lead", draws.ratio(o.months_ahead(), falls)),
            "median_lead": median_lead(o),
            **told("precision", draws.share(o.of_listed(fell), o.of_listed(known))),
            **told("found_gain", draws.interval(gain)),
            "chance": draws.chance(gain) if method != OURS else np.nan,
        }

    def by_rule(self) -> pd.DataFrame:
        """One row for any rule that pushes, and each rule: its own visits, and ours at as many an as-of in each draw.

        `ratio`: found by ours over found by it; `lead_gain`: the mean paired difference of leads over all falls;
        `visits_needed`: the share of its visits with which ours finds as many as it (nothing: not with all of them).
        """
        rows = [self._beside(RULES, self.rules, self.ours_at_rules)]
        for name in self.sides.hits:
            alone = self.sides.one_rule(name)
            if alone.counted_visits[0].sum():
                rows.append(self._beside(name, alone, self.sides.model_alone(alone.visits)))
        frame = pd.DataFrame(rows)
        frame["pushes"] = [r == RULES or r in pushed(self.catalogue) for r in frame["rule"]]
        return frame

    def _beside(self, name: str, rule: Outcome, ours: Outcome) -> dict[str, object]:
        draws, falls = self.draws, rule.falls()
        return {
            "rule": name,
            "visits": int(rule.counted_visits[0].sum()),
            "falls": int(falls[0]),
            **told("found", draws.share(rule.found(), falls)),
            **told("found_ours", draws.share(ours.found(), falls)),
            **told("ratio", draws.ratio(ours.found(), rule.found())),
            **told("lead_gain", draws.ratio(ours.months_ahead() - rule.months_ahead(), falls)),
            "median_lead": median_lead(rule),
            "median_lead_ours": median_lead(ours),
            "visits_needed": self._needed(rule) if name == RULES else np.nan,
        }

    def _needed(self, rule: Outcome) -> float:
        """The least of some shares of a rule's visits with which ours finds as many falls, in the county as it was."""
        one = replace(self.sides, draws=Draws(self.draws.times[:1]))
        for part in FRACTIONS:
            visits = np.ceil(rule.visits[:1] * part / 100).astype(np.int64)
            if one.model_alone(visits).found()[0] >= rule.found()[0]:
                return part / 100
        return np.nan

    def groups(self, names: Sequence[str]) -> pd.DataFrame:
        """One row a cause and outcome: falls, and what any rule that pushes and ours at as many visits found of them.

        `names`: of the causes, by code.
        """
        falls = self.sides.falls
        judged = self._judged_falls
        kinds = {("cause", n): self.cause[judged] == code for code, n in enumerate(names)}
        before = self.panel.row_before(falls)
        for name, outcome in self.catalogue.county.outcomes.items():
            at_risk = risk_set(outcome, self.panel.histories, self.catalogue).at_risk
            kinds["outcome", name] = (before >= 0) & at_risk[before]
        rows = []
        for (grouping, name), among in kinds.items():
            if not among.any():
                continue
            of = self.rules.falls(among)
            gain = shares_of(self.ours_at_rules.found(among), of) - shares_of(self.rules.found(among), of)
            row = {"grouping": grouping, "group": name, "falls": int(among.sum())}
            row |= told("found_rules", self.draws.share(self.rules.found(among), of))
            row |= told("found_ours", self.draws.share(self.ours_at_rules.found(among), of))
            rows.append(row | told("found_gain", self.draws.interval(gain)) | {"chance": self.draws.chance(gain)})
        return pd.DataFrame(corrected(rows, rows, "chance"))

    @cached_property
    def _judged_falls(self) -> Ints:
        """The positions among all events of the falls that are judged."""
        key = self.events.household.astype(np.int64) * 100_000 + self.events.month
        wanted = self.sides.falls.household.astype(np.int64) * 100_000 + self.sides.falls.month
        order = np.argsort(key, kind="stable")
        return order[np.searchsorted(key[order], wanted)]

    def bound(self) -> tuple[Curve | NoBound, pd.DataFrame]:
        """The curve of visits and share missed for the next origin; and what each origin was promised, and came.

        A fall is reached where its household ranks among the visits at an origin, within the horizon of the ranking. A
        promise is made from the origins whose falls were known by then, and none where they are too few.
        """
        horizon = max(self.catalogue.county.ranking(s.outcome) for s in self.said)
        lag = max(o.known_after_months for o in self.catalogue.county.outcomes.values())
        visits = self.catalogue.county.visits
        falls, ranked = self._places(horizon)
        rows = []
        for month in np.unique(falls.origin):
            known, now = falls.origin + horizon + lag <= month, falls.origin == month
            if not known.any():
                continue
            promise = curve(some_of(falls, known), [visits], ranked=ranked[int(month)])
            if isinstance(promise, Curve):
                missed = some_of(falls, now).missed(visits / ranked[int(month)])
                rows.append(asdict(promise.bounds[0]) | {"origin": str(AsOf(int(month))), "achieved": missed})
        along = [max(1, round(visits * share)) for share in ALONG]
        last = ranked[max(ranked)] if ranked else 1
        whole = curve(falls, along, ranked=last) if falls.place.size else NoBound("no falls")
        return whole, pd.DataFrame(rows, columns=["origin", "visits", "missed", "upper", "achieved"])

    def _places(self, horizon: int) -> tuple[Falls, dict[int, int]]:
        """The place of each fall in the ranking of each origin at which it lay ahead; households ranked, by month."""
        within, known = self._within(horizon)
        score, panel = self.ranking(OURS), self.panel
        places, villages, origins, ranked = [], [], [], {}
        for at in range(panel.lists):
            rows = np.flatnonzero((panel.at == at) & ~np.isnan(score) & self.sides.free)
            if not rows.size or not known[rows].all():
                continue
            order = rows[np.argsort(-score[rows], kind="stable")]
            ranked[int(panel.months[at])] = rows.size
            mine = np.flatnonzero((within & ~self.below)[order])
            places.append((mine + 1) / rows.size)
            villages.append(panel.villages[1][panel.household[order[mine]]])
            origins.append(np.full(mine.size, panel.months[at]))
        if not places:
            nothing = np.zeros(0, np.int64)
            return Falls(np.zeros(0), np.zeros(0), nothing, nothing), {}
        place = np.concatenate(places)
        return Falls(place, np.ones(place.size), np.concatenate(villages), np.concatenate(origins)), ranked


def some_of(falls: Falls, which: Bools) -> Falls:
    """Some of the falls."""
    return Falls(falls.place[which], falls.weight[which], falls.village[which], falls.origin[which])


def shares_of(part: Floats, whole: Floats) -> Floats:
    """A share in each draw; not a number where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(part.size, np.nan), where=whole > 0)


def median_lead(o: Outcome) -> float:
    """The median lead in months of the falls that were found, in the county as it was."""
    found = o.lead[0][o.lead[0] > 0]
    return float(np.median(found)) if found.size else np.nan


def corrected(rows: list[dict[str, object]], tested: list[dict[str, object]], name: str) -> list[dict[str, object]]:
    """The rows, the chances of those that are tested corrected after Holm."""
    for row, p in zip(tested, holm(np.array([r[name] for r in tested], np.float64)), strict=True):
        row[name] = float(p)
    return rows


def reported(tested: Tested, about: dict[str, object], causes: Sequence[str]) -> Backtest:
    """All figures of a backtest."""
    kinds = (FALL, IDENTIFIED) if tested.truth else (IDENTIFIED,)
    skill: list[pd.DataFrame] = []
    verdicts, cells = list[dict[str, object]](), list[dict[object, object]]()
    for kind in kinds:
        for judged in tested.judged(kind):
            skill.append(judged.skill(tested.draws).assign(kind=kind))
            for method in sorted(PROBABLE):
                verdict = judged.calibration(method, tested.draws)
                who = {"kind": kind, "outcome": judged.outcome, "horizon": judged.horizon, "method": method}
                verdicts.append(who | {"verdict": verdict.verdict, "reasons": "; ".join(verdict.reasons),
                                       "events": verdict.events, **told("ratio", verdict.overall)})  # fmt: skip
                cells += [who | row for row in verdict.as_frame().to_dict("records")]
    whole, promises = tested.bound()
    bound = whole.as_frame() if isinstance(whole, Curve) else pd.DataFrame(columns=["visits", "missed", "upper"])
    about = about | {"bound": "" if isinstance(whole, Curve) else whole.reason}
    if len(promises):
        told_of = [
            Bound(int(row[0]), float(row[1]), float(row[2]))
            for row in promises[["visits", "missed", "upper"]].to_numpy()
        ]
        outcome = kept(told_of, promises["achieved"].to_list())
        watch = watched(outcome.rows["exceeded"].to_numpy()[-24:])
        about |= {"promises_exceeded": outcome.exceeded, "watch_alarm": watch.alarm}
    if not skill:
        raise NotYetError("backtest", "no origin has labels after it", "Take in more months, or begin earlier.")
    return Backtest(
        about, pd.concat(skill, ignore_index=True), pd.DataFrame(verdicts), pd.DataFrame(cells),
        tested.found(), tested.by_rule(), tested.groups(causes), bound, promises,
    )  # fmt: skip
