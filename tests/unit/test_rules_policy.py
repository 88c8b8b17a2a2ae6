"""Bad rules.yaml, of every kind: all faults are told at once, each with its place and what to do; and good ones."""

import re
from pathlib import Path

import pytest

from fpml.catalogue import CHANNELS, Catalogue, Deadline, load
from fpml.errors import PolicyError
from fpml.lists import deadline_in_words
from fpml.rules import of_channel, pushed
from fpml.workspace import DEFAULT_POLICY

# A rule in parts; each bad one has one part replaced, or added.
PARTS = {
    "name": "{zh: 规则, en: a rule}",
    "department": "bank",
    "severity": "low",
    "source": "assumed",
    "mark": "assumed",
    "all": "[{feature: savings_change, at_most: 0.5}]",
}
CHANGE = "savings_change"
# What is wrong with a rule: which part is changed to what (None: left out), where that is told, and how.
BAD: list[tuple[dict[str, str | None], str, str]] = [
    ({"name": None}, "bad.name", "missing. Add `name:`."),
    ({"name": "{zh: '', en: ' '}"}, "bad.name", "no words in any language. Write `en: ...` or `zh: ...`."),
    ({"name": "{cn: 规则}"}, "bad.name.cn", "unknown key `cn`"),
    ({"department": "bnk"}, "bad.department", "Did you mean `bank`?"),
    ({"department": None}, "bad.department", "Add `department:`."),
    ({"severity": "grave"}, "bad.severity", "'grave' is not one of the known words"),
    ({"channel": "phone"}, "bad.channel", "'phone' is not one of the known words"),
    ({"source": "''"}, "bad.source", "Correct the value."),
    ({"mark": "sttaed"}, "bad.mark", "Did you mean `stated`?"),
    ({"mark": "stated"}, "bad", "a rule marked stated without a notice. Write whose it is, or `mark: assumed`."),
    ({"treshold": "3"}, "bad.treshold", "unknown key `treshold`. Take it out, or mend its spelling."),
    ({"all": None}, "bad", "a rule without conditions. Write `all:` or `any:`."),
    ({"all": "[{feature: savings_change}]"}, "bad.all.0", "exactly one of at_least, above, at_most, below"),
    ({"all": f"[{{feature: {CHANGE}, at_most: 1, below: 2}}]"}, "bad.all.0", "exactly one of at_least"),
    ({"all": "[{at_most: 0.5}]"}, "bad.all.0.feature", "missing. Add `feature:`."),
    ({"all": f"[{{feature: {CHANGE}, at_most: half}}]"}, "bad.all.0.at_most", "('half'). Correct the value."),
    ({"all": "[{feature: savings_chnge, at_most: 0.5}]"}, "bad.all.0", "Did you mean `savings_change`?"),
    ({"all": "[{feature: savings__duration__ever, at_least: 1}]"}, "bad.all.0", "only a status goes on"),
    ({"all": f"[{{feature: {CHANGE}, at_most: []}}]"}, "bad.all.0", "must stand in order"),
    (
        {"all": f"[{{feature: {CHANGE}, at_most: [{{from: 2022-01-01, value: 1}}, {{from: 2021-01-01, value: 2}}]}}]"},
        "bad.all.0", "must stand in order, each day once. Put the earliest first.",
    ),
    ({"all": f"[{{feature: {CHANGE}, at_most: [{{from: 2022-02-30, value: 1}}]}}]"}, "bad.all.0.at_most.0.from", "da"),
    ({"all": f"[{{feature: {CHANGE}, at_most: [{{value: 1}}]}}]"}, "bad.all.0.at_most.0.from", "Add `from:`."),
    ({"all": f"[{{feature: {CHANGE}, at_most: {{formerly_poor: 1}}}}]"}, "bad.all.0.at_most", "Add `others:`."),
    (
        {"all": f"[{{feature: {CHANGE}, at_most: {{formerly_por: 1, others: 2}}}}]"},
        "bad.all.0.at_most.formerly_por", "unknown household type `formerly_por`. Did you mean `formerly_poor`?",
    ),
    ({"all": f"[{{feature: {CHANGE}, at_most: {{others: 2}}}}]"}, "bad.all.0.at_most", "Write its threshold alone."),
    (
        {"all": f"[{{feature: {CHANGE}, at_most: {{360121: 1, others: 2}}}}]"},
        "bad.all.0.at_most", "the county names none. Set `line.region` in county.yaml.",
    ),
    (
        {"all": f"[{{feature: {CHANGE}, at_most: {{360121: 1, formerly_poor: 1, others: 2}}}}]"},
        "bad.all.0.at_most", "regions and household types in one table",
    ),
    (
        {"all": f"[{{feature: {CHANGE}, at_most: {{formerly_poor: {{monitored: 1, others: 2}}, others: 2}}}}]"},
        "bad.all.0.at_most.formerly_poor", "a table within a table by household type",
    ),
    ({"all": None, "any": f"[{{all: [{{feature: {CHANGE}, at_most: 1}}]}}]"}, "bad.any.0.all", "at least 2 items"),
    (
        {"all": None, "any": f"[{{all: [{{feature: x, at_most: 1}}, {{feature: {CHANGE}, at_most: 1}}]}}]"},
        "bad.any.0.all.0", "unknown feature `x`",
    ),
    ({"from": "2023-01-01", "until": "2022-12-31"}, "bad", "`until` before `from`"),
    ({"deadline": "{working_days: 5, at_once: true}"}, "bad.deadline", "exactly one of at_once, automatic, monthly"),
    ({"deadline": "{}"}, "bad.deadline", "exactly one of"),
    ({"deadline": "{at_once: false}"}, "bad.deadline", "Leave `deadline` out."),
    ({"deadline": "{by: 02-30}"}, "bad.deadline", "`02-30` is no day of the year. Write month and day, as '04-30'."),
    ({"deadline": "{working_days: 0}"}, "bad.deadline.working_days", "Correct the value."),
    ({"deadline": "{day_of_month: 31}"}, "bad.deadline.day_of_month", "less than or equal to 28"),
]  # fmt: skip


def rule(name: str, parts: dict[str, str | None]) -> str:
    told = {**PARTS, **parts}
    return f"{name}:\n" + "".join(f"  {k}: {v}\n" for k, v in told.items() if v is not None)


def faults(policy: Path, text: str) -> list[str]:
    (policy / "rules.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load(policy, DEFAULT_POLICY)
    return [str(f) for f in caught.value.faults]


def test_there_are_thirty_kinds_of_bad_rules_and_a_good_one(policy: Path) -> None:
    assert len(BAD) >= 30
    (policy / "rules.yaml").write_text(rule("good", {}), encoding="utf-8")
    assert list(load(policy, DEFAULT_POLICY).rules) == ["good"]


@pytest.mark.parametrize(("parts", "where", "said"), BAD, ids=[f"{w}: {s[:30]}" for _, w, s in BAD])
def test_a_bad_rule_is_told_with_its_place_and_a_remedy(
    policy: Path, parts: dict[str, str | None], where: str, said: str
) -> None:
    found = faults(policy, rule("good", {}) + rule("bad", parts))
    assert len(found) == 1, found
    assert re.match(rf"rules\.yaml(:\d+)? @ {re.escape(where)}: ", found[0]), found
    assert said in found[0]
    assert found[0].endswith((".", "?"))


@pytest.mark.parametrize("inside", [True, False], ids=["inside-the-file", "between-files"])
def test_every_fault_is_told_at_once(policy: Path, inside: bool) -> None:
    text, places = "", []
    for i, (parts, where, _) in enumerate(BAD):
        one = rule("bad", parts)
        # What can be told of a rule by itself comes before what needs the other files.
        (found,) = faults(policy, one)
        if found.startswith("rules.yaml:") == inside:
            text += one.replace("bad:", f"bad_{i}:", 1)
            places.append(where.replace("bad", f"bad_{i}", 1))
    told = faults(policy, text)
    assert sorted(re.sub(r"^rules\.yaml(:\d+)? @ ([^:]+): .*", r"\2", f) for f in told) == sorted(places)
    assert len(places) >= 9


def test_a_table_where_household_types_are_decided_is_refused(policy: Path) -> None:
    text = (policy / "county.yaml").read_text(encoding="utf-8")
    table = "formerly_poor__last__ever, at_least: {monitored: 1, others: 1}}]\n  low"
    spoilt = text.replace("formerly_poor__last__ever, at_least: 1}]\n  low", table, 1)
    assert spoilt != text
    (policy / "county.yaml").write_text(spoilt, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"county\.yaml @ cohort\.formerly_poor\.all\.0\.at_least: a table") as caught:
        load(policy, DEFAULT_POLICY)
    assert caught.value.faults[0].remedy == "Write one threshold, or a dated list."


# The default profile


def test_every_rule_of_the_field_is_there(catalogue: Catalogue) -> None:
    marks = {"stated": 5, "found": 9, "assumed": 8}
    assert {m: sum(r.mark == m for r in catalogue.rules.values()) for m in marks} == marks
    departments = {r.department for r in catalogue.rules.values()}
    assert departments == {
        "medical_insurance", "emergency", "traffic_police", "education", "health", "water", "civil_affairs",
        "disabled_federation", "human_resources", "housing", "police", "bank", "register",
    }  # fmt: skip


def test_only_what_comes_from_below_is_of_another_channel_and_lists_whatever_its_severity(catalogue: Catalogue) -> None:
    lines = {c: of_channel(catalogue, c) for c in CHANNELS}
    assert (lines["declared"], lines["walked"]) == (("declared_hardship",), ("walked_find",))
    below = (*lines["declared"], *lines["walked"])
    assert all(catalogue.rules[n].severity not in catalogue.county.pushed for n in below)
    assert lines["department"] == pushed(catalogue)
    assert {catalogue.rules[n].severity for n in pushed(catalogue)} == {"high"}


def test_a_figure_that_nobody_gave_is_marked_assumed(catalogue: Catalogue) -> None:
    (loss,) = (c for _, c in catalogue.rules["traffic_accident"].each() if c.feature == "traffic_loss__max__3m")
    assert catalogue.rules["traffic_accident"].mark == "stated"
    assert loss.mark == "assumed"


@pytest.mark.parametrize(
    ("deadline", "zh", "en"),
    [
        ({"working_days": 15}, "事发后15个工作日内", "within 15 working days of the event"),
        ({"last_working_days": 5}, "每月最后5个工作日", "in the last 5 working days of each month"),
        ({"day_of_month": 5}, "每月5日前", "by day 5 of each month"),
        ({"at_once": True}, "立即推送", "at once"),
        ({"automatic": True}, "系统自动预警", "automatically"),
        ({"monthly": True}, "每月推送", "monthly"),
        ({"by": "04-30"}, "每年04-30（月-日）前", "by 04-30 (month-day) of each year"),
    ],
)
def test_a_deadline_is_told_in_words(catalogue: Catalogue, deadline: dict[str, object], zh: str, en: str) -> None:
    dated = catalogue.rules["medical_15000"].model_copy(update={"deadline": Deadline.model_validate(deadline)})
    assert [deadline_in_words(dated, catalogue, lang) for lang in ("zh", "en")] == [zh, en]
    undated = dated.model_copy(update={"deadline": None})
    assert not deadline_in_words(undated, catalogue, "en")
