import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from fpml.catalogue import Catalogue, DeliveryName, Window, layouts, load, plain_header
from fpml.errors import InputError, PolicyError
from fpml.outcomes import risk_set
from fpml.workspace import DEFAULT_POLICY

Edit = tuple[str, str, str]


def spoil(folder: Path, *edits: Edit) -> None:
    """Replaces the first find of a text in a policy file."""
    for file, old, new in edits:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text, f"{file} no longer holds {old!r}"
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(folder: Path, file: str, text: str, nth: int = 0) -> int:
    lines = (folder / file).read_text(encoding="utf-8").splitlines()
    return [i for i, line in enumerate(lines, start=1) if text in line][nth]


def faults(folder: Path) -> list[str]:
    """Every fault of the policy, as an officer reads them."""
    with pytest.raises(PolicyError) as caught:
        load(folder, DEFAULT_POLICY)
    assert caught.value.exit_code == 3
    assert str(caught.value).splitlines() == [str(f) for f in caught.value.faults]
    for fault in caught.value.faults:
        assert re.match(r"\w+(\.\w+)*\.yaml\b", fault.where), fault
        assert fault.remedy.endswith((".", "?")), fault
    return [str(f) for f in caught.value.faults]


def only(folder: Path) -> str:
    found = faults(folder)
    assert len(found) == 1, found
    return found[0]


# Faults inside a file


def test_an_unknown_key_is_told_with_its_line(policy: Path) -> None:
    spoil(policy, ("indicators.yaml", "direction: unclear", "dirction: unclear"))
    line = line_of(policy, "indicators.yaml", "dirction")
    said = only(policy)
    assert said.startswith(f"indicators.yaml:{line} @ members.dirction: unknown key `dirction`.")


def test_a_missing_key_is_told_with_the_line_of_what_lacks_it(policy: Path) -> None:
    spoil(policy, ("indicators.yaml", "  department: bank\n", ""))
    line = line_of(policy, "indicators.yaml", "savings:")
    assert only(policy) == f"indicators.yaml:{line} @ savings.department: missing. Add `department:`."


def test_a_key_that_stands_twice_is_told_with_its_second_line(policy: Path) -> None:
    spoil(policy, ("county.yaml", "visits: 300", "visits: 300\nvisits: 400"))
    line = line_of(policy, "county.yaml", "visits: 400")
    assert only(policy) == f"county.yaml:{line} @ visits: the key stands twice. Keep one of the two."


def test_a_rule_that_stands_twice_is_told(policy: Path) -> None:
    text = (policy / "rules.yaml").read_text(encoding="utf-8")
    (policy / "rules.yaml").write_text(text + text[text.index("declared_hardship:") :], encoding="utf-8")
    assert [f.split(" @ ")[1] for f in faults(policy)] == [
        "declared_hardship: the key stands twice. Keep one of the two.",
        "walked_find: the key stands twice. Keep one of the two.",
    ]


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("kind: amount", "kind: amonut", "Did you mean `amount`?"),
        ("direction: lowers", "direction: lower", "Did you mean `lowers`?"),
        ("grain: household", "grain: house", "Did you mean `household`?"),
        ("\n  absent: zero", "\n  absent: nothing", "Known: unknown, zero."),
        ("windows: [ever], reductions: [last]", "windows: [ever], reductions: [last, lst]", "Did you mean `last`?"),
    ],
)
def test_a_word_that_is_misspelt_is_told_with_the_one_meant(policy: Path, old: str, new: str, meant: str) -> None:
    spoil(policy, ("indicators.yaml", old, new))
    said = only(policy)
    assert said.startswith(f"indicators.yaml:{line_of(policy, 'indicators.yaml', new.strip())} @ ")
    assert said.endswith(meant)


def test_two_faults_in_a_file_are_told_at_once(policy: Path) -> None:
    spoil(policy, ("indicators.yaml", "kind: status", "kind: sttus"), ("indicators.yaml", "  department: bank\n", ""))
    first, second = faults(policy)
    assert "region.kind" in first
    assert "Did you mean `status`?" in first
    assert "savings.department: missing" in second


def test_faults_in_two_files_are_told_at_once(policy: Path) -> None:
    spoil(
        policy,
        ("departments.yaml", "bank:\n  name:", "bank:\n  nam:"),
        ("rules.yaml", "mark: stated", "mark: sttaed"),
        ("county.yaml", "visits: 300", "visits: 0"),
    )
    said = faults(policy)
    assert {s.split(":")[0] for s in said} == {"departments.yaml", "rules.yaml", "county.yaml"}
    assert all(re.match(r"\w+\.yaml:\d+ @ \S+: ", s) for s in said)


def test_an_amount_without_decimals_is_told_what_to_write(policy: Path) -> None:
    spoil(policy, ("indicators.yaml", "  decimals: 2\n", ""))
    said = only(policy)
    assert f":{line_of(policy, 'indicators.yaml', 'income_wage:')} @ income_wage: " in said
    assert "Write `decimals: 2`" in said


def test_a_share_of_the_line_of_what_is_no_money_is_refused(policy: Path) -> None:
    spoil(policy, ("indicators.yaml", "reductions: [last]}]", "reductions: [last], in_lines: true}]"))
    assert "in_lines" in only(policy)


@pytest.mark.parametrize(
    "values",
    [
        "[{from: 2021-01-01, value: 15000}, {from: 2020-01-01, value: 12000}]",
        "[{from: 2020-01-01, value: 15000}, {from: 2020-01-01, value: 12000}]",
        "[]",
    ],
    ids=["backwards", "a-day-twice", "none"],
)
def test_dated_thresholds_out_of_order_are_refused(policy: Path, values: str) -> None:
    spoil(policy, ("rules.yaml", "[{from: 2020-01-01, value: 15000}]", values))
    said = only(policy)
    assert "dated thresholds must stand in order" in said
    assert f"rules.yaml:{line_of(policy, 'rules.yaml', 'medical_self_paid__sum')} @ medical_15000.all.0" in said


def test_a_dated_line_out_of_order_is_refused(policy: Path) -> None:
    spoil(
        policy,
        ("county.yaml", "{from: 2022-01-01, value: 6900}", "{from: 2023-01-01, value: 7600}"),
        ("county.yaml", "- {from: 2023-01-01, value: 7600}\noutcomes", "- {from: 2022-01-01, value: 6900}\noutcomes"),
    )
    assert "line" in only(policy)


def test_a_condition_with_two_thresholds_is_refused(policy: Path) -> None:
    spoil(policy, ("rules.yaml", "at_least: 3}", "at_least: 3, above: 2}"))
    assert "exactly one of at_least, above, at_most, below" in only(policy)


def test_a_rule_without_conditions_is_refused(policy: Path) -> None:
    spoil(policy, ("rules.yaml", "  all: [{feature: savings_change, at_most: 0.5}]\n", ""))
    assert "savings_halved: a rule without conditions. Write `all:` or `any:`." in only(policy)


def test_a_threshold_that_is_no_number_is_refused(policy: Path) -> None:
    spoil(policy, ("rules.yaml", "at_least: 3", "at_least: three"))
    assert any("'three'" in s for s in faults(policy))


def test_a_window_that_cannot_be_read_is_told_how_to_write_one(policy: Path) -> None:
    spoil(policy, ("indicators.yaml", "windows: [1m, 3m, 6m", "windows: [1 month, 3m, 6m"))
    assert "12m_1m_ago" in only(policy)


def test_what_is_not_yaml_is_told_with_its_line(policy: Path) -> None:
    line = line_of(policy, "departments.yaml", "zh: 医保局")
    spoil(policy, ("departments.yaml", "{zh: 医保局, en: medical insurance}", "{zh: 医保局, en: med"))
    said = re.fullmatch(r"departments\.yaml:(\d+): not YAML \(.+\)\. Mind the indentation and quotes\.", only(policy))
    assert said
    assert line <= int(said[1]) <= line + 2


def test_a_yaml_alias_is_refused_with_its_line(policy: Path) -> None:
    spoil(
        policy, ("rules.yaml", "cause: illness", "cause: &c illness"), ("rules.yaml", "cause: schooling", "cause: *c")
    )
    line = line_of(policy, "rules.yaml", "*c")
    assert only(policy) == f"rules.yaml:{line}: a YAML alias. Write the value out."


def test_a_file_of_aliases_within_aliases_is_refused_before_it_is_unfolded(policy: Path) -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12))
    (policy / "features.yaml").write_text(f"l0: &l0 [x]\n{levels}\n")
    assert "alias" in only(policy)


def test_a_file_in_another_encoding_is_refused(policy: Path) -> None:
    text = (policy / "departments.yaml").read_text(encoding="utf-8")
    (policy / "departments.yaml").write_bytes(text.encode("gb18030"))
    assert re.match(r"departments\.yaml: not UTF-8 \(byte \d+\)\. Save it as UTF-8\.", only(policy))


def test_a_byte_order_mark_does_no_harm(policy: Path) -> None:
    text = (policy / "departments.yaml").read_text(encoding="utf-8")
    (policy / "departments.yaml").write_text(text, encoding="utf-8-sig")
    assert "bank" in load(policy, policy).departments


def test_an_empty_file_is_refused_but_where_nothing_is_an_answer(policy: Path) -> None:
    (policy / "indicators.yaml").write_text("")
    assert only(policy).startswith("indicators.yaml:1 @ the file: ")


def test_a_policy_without_rules_is_a_policy(policy: Path) -> None:
    (policy / "rules.yaml").write_text("# none here\n")
    assert load(policy, policy).rules == {}


def test_a_missing_policy_file_is_named(policy: Path) -> None:
    (policy / "rules.yaml").unlink()
    with pytest.raises(InputError, match=r"^rules\.yaml: no such policy file"):
        load(policy, policy)


def test_wording_that_a_folder_lacks_comes_from_the_default_profile(policy: Path) -> None:
    (policy / "wording.zh.yaml").unlink()
    assert load(policy, DEFAULT_POLICY).wording["zh"].words["title"]


def test_a_day_that_no_calendar_has_is_refused(policy: Path) -> None:
    spoil(policy, ("county.yaml", "from: 2022-01-01", "from: 2022-02-30"))
    assert only(policy).startswith("county.yaml")


@pytest.mark.parametrize("text", ["!secret x", "!!python/object/apply:os.getcwd []"])
def test_a_yaml_tag_is_refused(policy: Path, text: str) -> None:
    spoil(policy, ("departments.yaml", "{zh: 医保局, en: medical insurance}", text))
    assert only(policy).startswith("departments.yaml")


def test_a_key_that_is_a_list_is_refused(policy: Path) -> None:
    spoil(policy, ("departments.yaml", "bank:\n  name:", "bank:\n  [name]:"))
    assert faults(policy)[0].startswith("departments.yaml")


# Faults between files


@pytest.mark.parametrize(
    ("edit", "where", "meant"),
    [
        (("indicators.yaml", "department: bank", "department: banks"), "savings.department", "Did you mean `bank`?"),
        (("rules.yaml", "department: bank", "department: bnk"), "savings_halved.department", "Did you mean `bank`?"),
        (
            ("rules.yaml", "feature: out_of_work__count__3m", "feature: out_of_wrk__count__3m"),
            "out_of_work_3_months.all.0", "Did you mean `out_of_work__count__3m`?",
        ),
        (("rules.yaml", "feature: savings_change", "feature: savings_chnge"), "savings_halved", "`savings_change`?"),
        (("county.yaml", "village: village", "village: villag"), "village", "Did you mean `village`?"),
        (("county.yaml", "village: village", "village: members"), "village", "is not a status"),
        (("county.yaml", "ranked_by: 6", "ranked_by: 5"), "ranked_by", "no horizon of new_poverty"),
        (("county.yaml", "heads: members__last__ever", "heads: memebrs__last__ever"), "line.heads", "`members__last_"),
        (("county.yaml", "{feature: members__last__ever, at", "{feature: x__last__ever, at"), "watched", ""),
        (("features.yaml", "of: labourers__last__ever", "of: labourer__last__ever"), "labour_share", "Did you mean"),
        (("features.yaml", "by: [income]", "by: [incme]"), "self_paid_to_income", "Did you mean `income`?"),
        (
            ("indicators.yaml", "  usual_lag_months: 1\n", "  usual_lag_months: 1\n  covered_by: savngs\n"),
            "income_wage.covered_by", "Did you mean `savings`?",
        ),
    ],
)  # fmt: skip
def test_a_name_that_another_file_does_not_have_is_told(policy: Path, edit: Edit, where: str, meant: str) -> None:
    spoil(policy, edit)
    said = faults(policy)
    assert any(s.startswith(edit[0]) and where in s and meant in s for s in said), said


def test_a_window_or_reduction_that_does_not_exist_is_no_feature(policy: Path) -> None:
    for wrong in ("out_of_work__count__3x", "out_of_work__total__3m", "out_of_work__count__0m"):
        spoil(policy, ("rules.yaml", "out_of_work__count__3m", wrong))
        assert f"`{wrong}`" in only(policy)
        spoil(policy, ("rules.yaml", wrong, "out_of_work__count__3m"))


def test_features_in_a_circle_are_told(policy: Path) -> None:
    words = "name: {en: x}, unit: {en: x}"
    with (policy / "features.yaml").open("a", encoding="utf-8") as f:
        f.write(
            f"a: {{kind: change, of: b, by: [income], {words}}}\nb: {{kind: change, of: a, by: [income], {words}}}\n"
        )
    said = only(policy)
    assert "circle" in said
    assert "a > b" in said or "b > a" in said


def test_a_feature_of_itself_is_a_circle(policy: Path) -> None:
    spoil(policy, ("features.yaml", "of: labourers__last__ever", "of: labour_share"))
    assert "labour_share > labour_share" in only(policy)


def test_a_derived_feature_cannot_take_a_computed_name(policy: Path) -> None:
    spoil(policy, ("features.yaml", "fees_to_savings:", "income_wage__sum__3m__in_lines:"))
    assert "Choose another." in only(policy)


# What a good policy says


def test_the_fingerprint_changes_with_the_content_and_not_with_the_line_ends(policy: Path) -> None:
    before = load(policy, policy).fingerprint
    assert re.fullmatch(r"[0-9a-f]{16}", before)
    for path in policy.glob("*.yaml"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(policy, policy).fingerprint == before
    spoil(policy, ("rules.yaml", "15000}]", "15001}]"))
    assert load(policy, policy).fingerprint != before


def test_the_fingerprint_covers_wording_that_comes_from_the_default_profile(policy: Path, tmp_path: Path) -> None:
    defaults = Path(shutil.copytree(policy, tmp_path / "defaults"))
    (policy / "wording.en.yaml").unlink()
    before = load(policy, defaults)
    text = (defaults / "wording.en.yaml").read_text(encoding="utf-8")
    (defaults / "wording.en.yaml").write_text(text.replace("Rank", "Place in the list"), encoding="utf-8")
    after = load(policy, defaults)
    assert after.fingerprint != before.fingerprint
    assert after.meaning == before.meaning  # other words mean no other feature


def test_names_of_features_are_computed(catalogue: Catalogue) -> None:
    names = catalogue.names()
    for name in (
        "medical_self_paid__sum__12m", "medical_self_paid__max__3m__in_lines", "income_wage__sum__12m_1m_ago",
        "members__last__ever", "savings__last__3m_3m_ago", "medical_self_paid__months_since__ever",
    ):  # fmt: skip
        assert name in names
    assert len(set(names)) == len(names)
    assert all(n == f.name for n, f in catalogue.features.items())


def test_a_feature_that_only_a_rule_refers_to_is_there_and_not_read_by_models(catalogue: Catalogue) -> None:
    assert "disability_grade_1_2__count__3m" in catalogue.names()
    assert "disability_grade_1_2__count__3m" not in catalogue.model_features()


@pytest.mark.parametrize(
    ("text", "length", "ago"), [("12m", 12, 0), ("12m_1m_ago", 12, 1), ("ever", 12_000, 0), ("3m_3m_ago", 3, 3)]
)
def test_windows_are_read_and_written_the_same(text: str, length: int, ago: int) -> None:
    window = Window.parse(text)
    assert (window.length, window.ago, str(window)) == (length, ago, text)


@pytest.mark.parametrize("text", ["0m", "12", "m", "12m_ago", "12m_0m_ago", "-3m", "1200m", "12M", "Ever", ""])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a window"):
        Window.parse(text)


def test_derived_features_stand_after_what_they_are_computed_from(catalogue: Catalogue) -> None:
    order = list(catalogue.derived)
    for name, d in catalogue.derived.items():
        for behind in (d.of, *d.by):
            assert behind not in order or order.index(behind) < order.index(name)


def test_all_that_is_told_is_named_in_both_languages(catalogue: Catalogue) -> None:
    for key, told in (*catalogue.indicators.items(), *catalogue.derived.items()):
        assert told.name.zh, key
        assert told.name.en, key
        assert told.unit.zh, key
        assert told.unit.en, key
    for key, d in (*catalogue.rules.items(), *catalogue.departments.items(), *catalogue.county.outcomes.items()):
        assert d.name.zh, key
        assert d.name.en, key


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_feature_that_a_reader_meets_can_be_told_in_words_of_its_own(catalogue: Catalogue, language: str) -> None:
    told = {c.feature for r in catalogue.rules.values() for _, c in r.each()} | set(catalogue.model_features())
    said = [catalogue.describe(n, language) for n in told]
    assert all(s and "{" not in s and "__" not in s for s in said)
    assert len(set(said)) == len(said)  # two features that read the same cannot be told apart at the door


def test_both_languages_have_the_same_words(catalogue: Catalogue) -> None:
    zh, en = catalogue.wording["zh"], catalogue.wording["en"]
    assert set(zh.words) == set(en.words)
    assert set(zh.reductions) == set(en.reductions)
    assert all(w.strip() for w in (*zh.words.values(), *en.words.values()))
    slots: Callable[[str], list[str]] = re.compile(r"{\w+}").findall
    assert all(sorted(slots(zh.words[k])) == sorted(slots(en.words[k])) for k in zh.words)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_feature_has_a_sentence_and_a_unit(catalogue: Catalogue, language: str) -> None:
    for name in catalogue.names():
        said = catalogue.describe(name, language)
        assert said, name
        assert "{" not in said, name
        assert "__" not in said, name
        assert catalogue.unit(name, language), name


def test_the_default_profile_has_the_departments_of_the_field_and_each_delivers(catalogue: Catalogue) -> None:
    assert set(catalogue.departments) == {
        "police", "health", "civil_affairs", "disabled_federation", "human_resources", "housing", "finance",
        "emergency", "medical_insurance", "education", "water", "agriculture", "traffic_police", "register", "bank",
    }  # fmt: skip
    assert {i.department for i in catalogue.indicators.values()} == set(catalogue.departments)


def test_the_default_profile_is_a_full_catalogue(catalogue: Catalogue) -> None:
    assert len(catalogue.names()) >= 320
    assert len(catalogue.model_features()) >= 250
    causes = {i.cause for i in catalogue.indicators.values()}
    assert causes == {
        "illness", "schooling", "disability", "natural_disaster", "accident", "business_failure", "unstable_work",
        "lack_of_labour", "unsafe_housing", "unsafe_water", "other",
    }  # fmt: skip


def test_a_model_reads_money_as_shares_and_no_codes_of_places(catalogue: Catalogue) -> None:
    for name in catalogue.model_features():
        assert catalogue.unit(name, "en") != "yuan", name
    assert not {"village__last__ever", "region__last__ever"} & set(catalogue.model_features())


def test_households_in_monitoring_are_apart(catalogue: Catalogue) -> None:
    groups = catalogue.county.cohort
    assert list(groups) == ["monitored", "formerly_poor", "low_income_allowance", "never_registered"]
    assert not groups["never_registered"].all
    for outcome in catalogue.county.outcomes.values():
        assert any(c.feature == "monitored__holding__ever" and c.below == 1 for c in outcome.at_risk)


def test_whoever_is_not_in_monitoring_is_at_risk_of_one_outcome(catalogue: Catalogue) -> None:
    """New poverty of the never registered, relapse of the formerly poor, a renewed spell of the cleared."""
    cases = [(poor, spells, now) for poor in (0, 1) for spells in (0, 1, 3) for now in (0, 1) if now <= spells]
    poor, spells, now = zip(*cases, strict=True)
    table = pa.table(
        {
            "household_id": [str(i) for i in range(len(cases))],
            "as_of": pa.array([date(2023, 6, 30)] * len(cases), pa.date32()),
            "formerly_poor__last__ever": poor,
            "monitored__count__ever": spells,
            "monitored__holding__ever": now,
        }
    )
    at_risk = {n: risk_set(o, table, catalogue).at_risk for n, o in catalogue.county.outcomes.items()}
    told = [[n for n, held in at_risk.items() if held[i]] for i in range(len(cases))]
    assert told == [
        [] if now else ["renewed"] if spells else ["relapse" if poor else "new_poverty"] for poor, spells, now in cases
    ]


def test_every_rule_says_whence_it_comes(catalogue: Catalogue) -> None:
    assert all(r.source.strip() and r.mark for r in catalogue.rules.values())


def test_the_policy_cannot_be_changed_once_loaded(catalogue: Catalogue) -> None:
    with pytest.raises(TypeError):
        catalogue.rules["medical_15000"] = catalogue.rules["house_unsafe"]  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        catalogue.county.visits = 3  # type: ignore[misc]


# What departments' files are like

VALUE = "{header: 存款余额, also: [期末存款余额, 储蓄余额], role: value, of: [savings], units: {元: 1, 万元: 10000}}"
HEAD_KEY = "      - {header: 户主身份证号, also: [户主身份证号码, 户主证件号码], role: head_id_number}\n"


def test_the_thirteen_departments_deliver_44_items(catalogue: Catalogue) -> None:
    of_departments = [a for a in layouts(catalogue.departments) if a.department not in ("register", "bank")]
    assert len(of_departments) == 44
    assert len({a.department for a in of_departments}) == 13
    assert len(catalogue.departments["bank"].sent_by) == 12
    assert catalogue.departments["water"].sent_by == (catalogue.departments["water"].name,)


def test_every_indicator_is_told_by_one_item_with_its_date(catalogue: Catalogue) -> None:
    told = [n for a in layouts(catalogue.departments) for n in a.indicators]
    assert sorted(told) == sorted(catalogue.indicators)
    for layout in layouts(catalogue.departments):
        assert all(layout.date(n) for n in layout.indicators)
        # A status that ends must be able to say when.
        assert all(layout.until(n) for n in layout.indicators if catalogue.indicators[n].kind == "status")


def test_names_of_files_and_sheets_are_those_of_one_item_each(catalogue: Catalogue) -> None:
    for key, department in catalogue.departments.items():
        names = [a.name.said("zh") for a in layouts({key: department})]
        assert len(set(names)) == len(names)
        assert all(not re.search(r"[-_/\\?*:\[\]]", n) and len(n) <= 31 for n in names)
    senders = [s.said("zh") for d in catalogue.departments.values() for s in d.sent_by]
    assert len(set(senders)) == len(senders)
    assert not any(set("-_/") & set(s) for s in senders)


def test_own_date_columns_come_before_shared_ones(catalogue: Catalogue) -> None:
    (member,) = (a for a in layouts(catalogue.departments) if (a.department, a.item) == ("register", "member"))
    own = {n: member.date(n) for n in member.indicators}
    assert {n: c.header for n, c in own.items() if c} == {
        "member": "加入日期", "born": "出生日期", "labour_capacity": "劳动能力认定日期",
    }  # fmt: skip
    assert member.value("born") is None
    assert member.until("born") is None
    (grade,) = (a for a in layouts(catalogue.departments) if a.item == "appraisal")
    assert grade.date("house_grade") is grade.date("house_unsafe")
    assert grade.until("house_unsafe") is None
    assert grade.until("house_grade") is not None


def test_a_header_is_known_in_brackets_of_either_kind(catalogue: Catalogue) -> None:
    (savings,) = (a for a in layouts(catalogue.departments) if (a.department, a.item) == ("bank", "savings"))
    column = savings.value("savings")
    assert column
    known = column.headers()
    assert [known[plain_header(h)] for h in ("储蓄余额（万元）", " 存款余额 (元)", "期末存款余额")] == [10_000, 1, 1]
    assert plain_header("存款余额（美元）") not in known


@pytest.mark.parametrize(
    "stem", ["医保局-住院-2021-01_2021-02-25", "医保局-2021-01_2021-02-25", "农商银行-存款-2023-12_2024-01-31"]
)
def test_a_delivery_names_its_month_and_the_day_it_came(stem: str) -> None:
    name = DeliveryName.parse(stem)
    assert name
    assert str(name) == stem
    assert name.day > date.fromisoformat(f"{name.month}-01")


@pytest.mark.parametrize(
    "stem", ["2021-01", "医保局-住院", "医保局-住院-2021-01_2021-02-30", "", "_2021-01_2021-02-25"]
)
def test_a_file_with_another_name_is_none(stem: str) -> None:
    assert DeliveryName.parse(stem) is None


def test_layouts_change_the_fingerprint_and_no_meaning(policy: Path) -> None:
    before = load(policy, policy)
    spoil(policy, ("departments.yaml", "also: [期末存款余额, 储蓄余额]", "also: [期末存款余额]"))
    after = load(policy, policy)
    assert after.fingerprint != before.fingerprint
    assert after.meaning == before.meaning


def test_a_department_without_items_delivers_in_the_canonical_form(policy: Path) -> None:
    text = (policy / "departments.yaml").read_text(encoding="utf-8")
    (policy / "departments.yaml").write_text(text[: text.index("bank:\n")] + "bank: {name: {zh: 银行}}\n", "utf-8")
    assert load(policy, policy).departments["bank"].items == {}


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("of: [savings]", "of: [savngs]", "bank.items.savings", "unknown indicator `savngs`. Did you mean `savings`?"),
        ("of: [savings]", "of: [death]", "bank.items.savings", "`death` is an indicator of `police`. Tell it there."),
        ("of: [savings]", "of: [small_loan]", "bank.items", "no item tells of `savings`. Add a column for it."),
        ("of: [savings]", "of: [small_loan]", "bank.items", "two items tell of `small_loan`. Keep one of the two."),
        (", 储蓄余额]", ", 数据日期]", "bank.items.savings", "header `数据日期` stands twice"),
        (", 储蓄余额]", ", 期末存款余额]", "bank.items.savings", "header `期末存款余额` stands twice"),
        (", 储蓄余额]", ", 户主]", "bank.items.savings", "header `户主` stands twice"),
        ("role: date}\n        - " + VALUE, "role: remark}\n        - " + VALUE, "bank.items.savings", "no date for"),
        (VALUE, "{header: 余额, role: date, of: [savings]}", "bank.items.savings", "no value for `savings`"),
        ("2: [集中供养, 集中]", "3: [集中供养, 集中]", "hardship.special_hardship", "words for 3, which is no code"),
        ("2: [集中供养, 集中]", "3: [集中供养, 集中]", "hardship.special_hardship", "no words for code 2"),
        ("role: until, of: [house_grade]", "role: until, of: [house_unsafe]", "appraisal", "which is no status"),
        ("also: [户主], role: name", "also: [户主], role: record", "bank.items.savings", "two columns of role record"),
    ],
)  # fmt: skip
def test_a_layout_that_cannot_be_is_told(policy: Path, old: str, new: str, where: str, said: str) -> None:
    text = (policy / "departments.yaml").read_text(encoding="utf-8")
    end = text.index("bank:\n") if where.startswith("bank") else 0
    assert old in text[end:]
    (policy / "departments.yaml").write_text(text[:end] + text[end:].replace(old, new, 1), encoding="utf-8")
    found = faults(policy)
    assert any(f.startswith("departments.yaml @ ") and where in f and said in f for f in found), found


def test_an_item_that_says_neither_whose_nor_which_household_is_told(policy: Path) -> None:
    text = (policy / "departments.yaml").read_text(encoding="utf-8")
    (policy / "departments.yaml").write_text(text.replace("\n" + HEAD_KEY, "\n"), encoding="utf-8")
    found = faults(policy)
    # Agriculture and the register have the household's own code besides.
    assert sum("no column says which household. Add one of role household or head_id_number." in f for f in found) == 15
    assert not any("agriculture" in f or "register" in f for f in found)


def test_an_item_that_does_not_say_which_person_is_told(policy: Path) -> None:
    spoil(policy, ("departments.yaml", "role: certificate", "role: head_id_number"))
    found = faults(policy)
    assert sum("no column says which person" in f for f in found) == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "role: value, of: [savings]",
            "role: value, of: [savings, small_loan]",
            "a value is of exactly one indicator. Write `of: [savings]`.",
        ),
        ("also: [户主], role: name", "also: [户主], role: name, of: [savings]", "a name column is of no indicator"),
        ("units: {元: 1, 万元: 10000}", "units: {元: 1, 打: 12}", "no power of ten"),
        ("{1: [中断, 停水]}", "{1: [中断, 停水], 2: [停水]}", "words that do not tell one code from another"),
        ("role: until, of: [member]", "role: untl, of: [member]", "Did you mean `until`?"),
        ("grain: person", "grian: person", "unknown key `grian`"),
    ],
)
def test_a_column_that_cannot_be_is_told_with_its_line(policy: Path, old: str, new: str, said: str) -> None:
    spoil(policy, ("departments.yaml", old, new))
    found = faults(policy)
    assert any(said in f and re.match(r"departments\.yaml:\d+ @ \w+\.", f) for f in found), found


def test_what_only_measures_fairness_is_told_and_enters_no_model(catalogue: Catalogue) -> None:
    fairness = {"head_sex__last__ever", "distance__last__ever", "disability_grade__min__ever"}
    assert fairness <= set(catalogue.names())
    entering = set(catalogue.model_features())
    assert not {n for n in entering if n.split("__")[0] in ("head_sex", "distance")} | (fairness & entering)
    both = [{n.split("__", 1)[1] for n in entering if n.split("__")[0] == i} for i in ("declared", "walked")]
    assert both[0] == both[1] != set()
