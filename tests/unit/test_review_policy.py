"""review.yaml and files of proposals: what they may say, and every fault with its place and a remedy."""

from decimal import Decimal
from pathlib import Path

import pytest

from fpml.catalogue import Catalogue, load, read_proposals, rules_as_proposed
from fpml.catalogue.reviewing import Limit, Proposal
from fpml.catalogue.types import Words
from fpml.errors import PolicyError
from fpml.workspace import DEFAULT_POLICY

NAMED = "name: {zh: 名, en: name}"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(DEFAULT_POLICY, DEFAULT_POLICY)


def faults(policy: Path, text: str) -> list[str]:
    (policy / "review.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as told:
        load(policy, DEFAULT_POLICY)
    return [str(f) for f in told.value.faults]


BAD = {
    "an unknown key": ("townshipz: 3", "townshipz", "mend its spelling"),
    "no townships": ("townships: 0", "townships", "greater than or equal to 1"),
    "one kind alone": (f"groups: {{g: {{{NAMED}, kinds: {{a: {{{NAMED}}}}}}}}}", "groups.g.kinds", "at least 2"),
    "an unknown feature": (
        f"groups: {{g: {{{NAMED}, kinds: {{a: {{{NAMED}, all: [{{feature: incme, below: 1}}]}}, b: {{{NAMED}}}}}}}}}",
        "groups.g.kinds.a.all.0", "Did you mean `income",
    ),
    "an unknown rule": (
        f"what_if: {{w: {{{NAMED}, thresholds: {{medical_1500: 3}}}}}}", "what_if.w", "Did you mean `medical_15000`?",
    ),
    "an unknown rule dropped": (f"what_if: {{w: {{{NAMED}, without: [medical]}}}}", "what_if.w", "unknown rule"),
    "several thresholds at once": (
        f"what_if: {{w: {{{NAMED}, thresholds: {{disaster: 3}}}}}}", "thresholds.disaster", "by feature",
    ),
    "a feature that the rule does not read": (
        f"what_if: {{w: {{{NAMED}, thresholds: {{medical_15000: {{income: 3}}}}}}}}", "medical_15000", "does not read",
    ),
    "a threshold that is no number": (
        f"what_if: {{w: {{{NAMED}, thresholds: {{medical_15000: much}}}}}}", "medical_15000", "",
    ),
    "a rule added under a name in force": (
        f"what_if: {{w: {{{NAMED}, adding: {{medical_15000: {{{NAMED}, department: bank, source: s, mark: assumed,"
        " all: [{feature: income, below: 1}]}}}}", "adding.medical_15000", "another name",
    ),
    "a rule added by nobody": (
        f"what_if: {{w: {{{NAMED}, adding: {{mine: {{{NAMED}, department: bnk, source: s, mark: assumed,"
        " all: [{feature: income, below: 1}]}}}}", "adding.mine", "unknown department",
    ),
    "no visits": (f"what_if: {{w: {{{NAMED}, visits: 0}}}}", "visits", "greater than or equal to 1"),
    "a cut that is no probability": (f"what_if: {{w: {{{NAMED}, cut: 3}}}}", "cut", "less than or equal to 1"),
    "an allocation nobody knows": (f"what_if: {{w: {{{NAMED}, allocation: province}}}}", "allocation", "county"),
    "a colour nobody knows": (
        f"colours: {{village: [{{{NAMED}, colour: green, all: [{{figure: listed, below: 1}}]}}]}}", "colour", "yellow",
    ),
    "a figure nobody counts": (
        f"colours: {{village: [{{{NAMED}, colour: red, all: [{{figure: listd, below: 1}}]}}]}}", "figure", "listed",
    ),
    "a colour for no reason": (f"colours: {{village: [{{{NAMED}, colour: red, all: []}}]}}", "all", "at least 1"),
    "a place nobody colours": ("colours: {county: []}", "colours", "township"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "place", "says"), BAD.values(), ids=BAD)
def test_a_bad_review_is_told_with_its_place_and_a_remedy(policy: Path, text: str, place: str, says: str) -> None:
    told = faults(policy, text + "\n")
    assert any(t.startswith("review.yaml") and place in t and says in t for t in told), told


def test_every_fault_is_told_at_once(policy: Path) -> None:
    told = faults(policy, f"what_if:\n  a: {{{NAMED}, without: [x]}}\n  b: {{{NAMED}, thresholds: {{y: 3}}}}\n")
    assert [t.split(":")[0] for t in told] == ["review.yaml @ what_if.a.x", "review.yaml @ what_if.b.y"]


def test_a_policy_may_come_without_a_review(policy: Path) -> None:
    found = load(policy, DEFAULT_POLICY).review
    assert (found.groups, found.what_if, found.on_time_days) == ({}, {}, 15)


def test_a_proposal_changes_what_it_names_and_nothing_else(catalogue: Catalogue) -> None:
    proposal = Proposal(
        name=Words(zh="甲"), thresholds={"medical_15000": Decimal(12_000)}, without=("water_off",),
        adding={"mine": catalogue.rules["savings_halved"]},
    )  # fmt: skip
    told = rules_as_proposed(catalogue.rules, proposal)
    assert set(told) == (set(catalogue.rules) - {"water_off"}) | {"mine"}
    assert told["medical_15000"].all[0].threshold == 12_000
    assert all(told[n] is catalogue.rules[n] for n in told if n not in ("medical_15000", "mine"))


def test_a_threshold_by_feature_reaches_into_alternatives(catalogue: Catalogue) -> None:
    features = {c.feature for _, c in catalogue.rules["disaster"].each()}
    chosen = sorted(f for f in features if "loss" in f)[0]
    proposal = Proposal(name=Words(zh="甲"), thresholds={"disaster": {chosen: Decimal(1)}})
    told = rules_as_proposed(catalogue.rules, proposal)["disaster"]
    assert {c.threshold for _, c in told.each() if c.feature == chosen} == {Decimal(1)}
    before = {(p, c.threshold) for p, c in catalogue.rules["disaster"].each() if c.feature != chosen}
    assert {(p, c.threshold) for p, c in told.each() if c.feature != chosen} == before


def test_proposals_are_read_from_a_file_with_every_fault(catalogue: Catalogue, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"a: {{{NAMED}, visits: 5}}\n", encoding="utf-8")
    assert read_proposals(file, catalogue)["a"].visits == 5
    file.write_text(
        f"a: {{{NAMED}, without: [x]}}\nb: {{{NAMED}, adding: {{mine: {{{NAMED}, department: bank, source: s,"
        " mark: assumed, all: [{feature: incme, below: 1}]}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(PolicyError) as told:
        read_proposals(file, catalogue)
    assert [str(f).split(":")[0] for f in told.value.faults] == ["mine.yaml @ a.x", "mine.yaml @ b.adding.mine.all.0"]


def test_a_limit_includes_the_least_and_not_the_upper() -> None:
    assert Limit(figure="listed", at_least=20).holds(20)
    assert not Limit(figure="listed", at_least=20).holds(19.9)
    assert Limit(figure="listed", below=5).holds(4.9)
    assert not Limit(figure="listed", below=5).holds(5)
    assert not Limit(figure="confirmed_share", below=5).holds(float("nan"))
