"""A month's list held against the lists before it: chances, what they are made from, rules, and what is expected."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from fpml.catalogue import Catalogue, Words
from fpml.dates import AsOf
from fpml.health.alarm import Alarm
from fpml.health.snapshot import Snapshot, spread
from fpml.health.values import YEAR, outside

# So many lists before tell what is usual.
ENOUGH = 3
CHANCES, LIST, POLICY = Words(zh="概率", en="chances"), Words(zh="名单", en="list"), Words(zh="政策", en="policy")
Snapshots = Mapping[int, Snapshot]


def scores(kept: Snapshots, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Whether the chances of those at risk are spread otherwise than in the same months before, by the same models.

    By the population stability index: against the same month of the year before where the same models told it, and
    against the twelve months before together; both must be large.
    """
    now, before = kept.get(month.month), _by_the_same(kept, month)
    if not now or not now.scores or len(before) < ENOUGH:
        return
    each = [np.sum([s.scores for s in before.values()], axis=0).tolist()]
    if month.month - YEAR in before:
        each.append(before[month.month - YEAR].scores)
    index = min(spread(now.scores, other) for other in each)
    if index >= catalogue.watching.scores.index:
        people = sum(sum(s.scores) for s in before.values())
        usual = sum(s.chance * sum(s.scores) for s in before.values()) / max(1, people)
        yield Alarm(
            "scores",
            str(month),
            CHANCES,
            {"index": f"{index:.2f}", "chance": f"{now.chance:.2%}", "usual": f"{usual:.2%}"},
        )


def inputs(kept: Snapshots, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Indicators and rules that concern far more, or far fewer, households than at any list of the year before.

    Nothing is said before there is a list of each of its months: much is paid, sown and told once a year.
    """
    now, limit = kept.get(month.month), catalogue.watching.inputs
    before = {
        m: s for m, s in kept.items() if month.month - YEAR <= m < month.month and now and s.meaning == now.meaning
    }
    if not now or len(before) < YEAR:
        return
    for name, share in now.shares.items():
        usual = [round(s.shares[name] * s.households) for s in before.values() if name in s.shares]
        if name in catalogue.indicators:
            words = catalogue.indicators[name].name
            yield from _beyond(round(share * now.households), usual, words, month, limit.times, limit.errors)
    changed = {c.rule for s in (now, *before.values()) for c in s.changes}
    for name, hits in now.hits.items():
        if name in catalogue.rules and name not in changed:
            usual = [s.hits[name] for s in before.values() if name in s.hits]
            yield from _beyond(hits, usual, catalogue.rules[name].name, month, limit.times, limit.errors)


def _beyond(now: int, before: list[int], of: Words, month: AsOf, times: float, errors: float) -> Iterator[Alarm]:
    usual = outside(now, before, times=times, errors=errors) if len(before) == YEAR else None
    if usual is not None:
        yield Alarm("inputs", str(month), of, {"households": f"{now:,}", "usual": f"{usual:,}"})


def threshold(kept: Snapshots, month: AsOf) -> Iterator[Alarm]:
    """Rules that are not those of the list before, and policy files that are not, where no rule says it."""
    now = kept.get(month.month)
    if not now:
        return
    for c in now.changes:
        hits = "?" if c.hits_before is None else f"{c.hits_before:,}"
        facts = {"before": c.before, "now": c.now, "hits_before": hits, "hits": f"{c.hits_now:,}"}
        yield Alarm("threshold", str(month), Words(zh=c.name_zh, en=c.name_en), facts)
    others = [f for f in now.policy_files if f != "rules.yaml" or not now.changes]
    if others:
        yield Alarm("policy", str(month), POLICY, {"files": ", ".join(others)})


def expected(kept: Snapshots, catalogue: Catalogue, month: AsOf) -> Iterator[Alarm]:
    """Whether by the chances the month's list finds far fewer than those before it: an estimate, no result."""
    now, before = kept.get(month.month), _by_the_same(kept, month)
    if not now or not now.scored or len(before) < ENOUGH:
        return
    usual = (
        min(s.expected / s.scored for s in before.values() if s.scored) if any(s.scored for s in before.values()) else 0
    )
    share = now.expected / now.scored
    if share * catalogue.watching.expected.times <= usual:
        months = min(catalogue.county.ranking(name) for name in catalogue.county.outcomes)
        facts = {"share": f"{share:.1%}", "usual": f"{usual:.1%}", "months": str(months)}
        yield Alarm("expected", str(month), LIST, facts)


def _by_the_same(kept: Snapshots, month: AsOf) -> dict[int, Snapshot]:
    """The snapshots of the twelve months before, of lists that the same models ranked; none where no model did."""
    now = kept.get(month.month)
    if not now or not now.models:
        return {}
    return {
        m: s for m, s in kept.items() if month.month - YEAR <= m < month.month and s.models == now.models and s.scores
    }


def outlook(kept: Snapshots) -> dict[str, object] | None:
    """What chances say that the last list finds, before anybody has visited: an estimate; None without a model."""
    told = [s for _, s in sorted(kept.items()) if s.scored]
    if not told:
        return None
    last = told[-1]
    share = last.expected / last.scored
    return {
        "month": last.month, "listed": last.listed, "with_a_chance": last.scored, "expected": round(last.expected, 1),
        "share": round(share, 4) if math.isfinite(share) else None,
    }  # fmt: skip
