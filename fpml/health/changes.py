"""What of the policy is not as it was for the list before: rules, with how many they would have hit as they were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from fpml.catalogue import Catalogue, Condition, Rule
from fpml.errors import FpmlError
from fpml.households import in_force
from fpml.lists.values import SIGNS, number_in_words
from fpml.rules import Bools, hit

NOT_THERE = "-"


@dataclass(frozen=True)
class Change:
    """One rule that is not as it was: its thresholds in force, and how many households it hits with each.

    `hits_before`: at this list's as-of, on the same histories; None where the old rule cannot be held against them.
    """

    rule: str
    name_zh: str
    name_en: str
    before: str
    now: str
    hits_before: int | None
    hits_now: int


def changes(old: Catalogue, new: Catalogue, histories: pa.Table, held: Mapping[str, Bools]) -> Iterator[Change]:
    """Rules whose thresholds in force at the histories' as-of, or whose hits there, are not those of the old policy.

    A dated value whose day has come is no change: it stood in the old policy too.
    """
    for name in dict.fromkeys((*old.rules, *new.rules)):
        was, now = old.rules.get(name), new.rules.get(name)
        if was and now and not _differ(was, now):
            continue
        hits = _hits(was, histories, old)
        count = int(held[name].sum()) if now else 0
        before, after = (_thresholds(r, histories, c) for r, c in ((was, old), (now, new)))
        moved = hits is None or bool((hits != held[name]).any()) if now and was else True
        if moved or before != after:
            words = (now or was).name  # type: ignore[union-attr]
            yield Change(
                name,
                words.said("zh"),
                words.said("en"),
                before,
                after,
                None if hits is None else int(hits.sum()),
                count,
            )


def _differ(one: Rule, other: Rule) -> bool:
    """Whether two rules differ in more than their words."""
    words = {"name", "notice", "note", "source", "mark", "deadline"}
    return one.model_dump(exclude=words) != other.model_dump(exclude=words)


def _hits(rule: Rule | None, histories: pa.Table, catalogue: Catalogue) -> Bools | None:
    """Which rows a rule hits; None where it reads what these histories do not have."""
    try:
        return hit(rule, histories, catalogue) if rule else None
    except (FpmlError, KeyError):
        return None


def _thresholds(rule: Rule | None, histories: pa.Table, catalogue: Catalogue) -> str:
    """The thresholds of a rule that are in force, as `≥ 15000`; of a table all that hold for some household."""
    try:
        return "; ".join(_threshold(c, histories, catalogue) for _, c in rule.each()) if rule else NOT_THERE
    except (FpmlError, KeyError):
        return NOT_THERE


def _threshold(condition: Condition, histories: pa.Table, catalogue: Catalogue) -> str:
    values = {against.value for rows, against in in_force(condition, histories, catalogue) if rows.any()}
    return f"{SIGNS[condition.comparison]} {'/'.join(number_in_words(float(v)) for v in sorted(values))}"
