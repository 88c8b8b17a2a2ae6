"""What a ranking owes to its parts, and features that are the outcome in disguise."""

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from fpml.catalogue import Catalogue
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import NotYetError
from fpml.features import as_of_months, told_later
from fpml.measure import disguised
from fpml.worth import Parts, aligned, recent, tells, without_department

AS_OF = AsOf.parse("2023-05")


def test_a_ratio_tells_of_the_department_above_the_line(catalogue: Catalogue) -> None:
    assert tells("medical_self_paid__sum__12m", catalogue) == {"medical_insurance"}
    assert tells("income_wage__sum__12m__in_lines", catalogue) == {"human_resources"}
    assert tells("agriculture__coverage__12m", catalogue) == {"agriculture"}
    every = {d for n in catalogue.model_features() for d in tells(n, catalogue)}
    assert every <= set(catalogue.departments)


def test_what_a_department_told_is_left_out_and_nothing_else(trained: County) -> None:
    catalogue, definition = trained.catalogue, trained.definition("new_poverty")
    less = without_department(definition, "medical_insurance", catalogue)
    assert less is not None
    before, after = set(definition.features(catalogue)), set(less.features(catalogue))
    assert all("medical_insurance" in tells(n, catalogue) for n in before - after)
    assert not any("medical_insurance" in tells(n, catalogue) for n in after)
    assert len(after) < len(before)
    assert without_department(less, "medical_insurance", catalogue) is None


def test_the_last_months_are_learnt_from_at_the_same_share(trained: County) -> None:
    learning = trained.lessons.rows(AS_OF)["new_poverty"]
    since = AS_OF.month - 12
    fewer = recent(learning, since)
    months = as_of_months(fewer.sample.rows)
    assert months.min() >= since
    assert fewer.sample.rows.num_rows == int((as_of_months(learning.sample.rows) >= since).sum())
    assert fewer.sample.kept(AS_OF) == learning.sample.kept(AS_OF)
    of = fewer.histories["household_id"].take(pa.array(fewer.at)).cast(pa.string())
    assert of.to_pylist() == fewer.sample.rows["household_id"].to_pylist()


@pytest.mark.parametrize(
    ("known", "later"),
    [
        (date(2023, 5, 1), date(2023, 6, 1)),
        (date(2023, 1, 31), date(2023, 2, 28)),
        (date(2024, 1, 30), date(2024, 2, 29)),
        (date(2023, 12, 31), date(2024, 1, 31)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_months_last(known: date, later: date) -> None:
    records = pa.table({"indicator": ["a", "b"], "known_date": pa.array([known, known], pa.date32())})
    told = told_later(records, {"a"})
    assert told["known_date"].to_pylist() == [later, known]
    assert told_later(records, ()) is records


def test_a_late_department_is_known_as_it_was_a_month_before(trained: County) -> None:
    now, ago, other = "income_wage__sum__12m", "income_wage__sum__12m_1m_ago", "medical_self_paid__sum__12m"
    prompt = trained.histories(AS_OF, names=(now, ago, other))
    late = trained.histories(AS_OF, names=(now, ago, other), late=("human_resources",))
    before = aligned(trained.histories(AS_OF.shift(-1), names=(now,)), late["household_id"])
    same = [a == b for a, b in zip(late[ago].to_pylist(), before[now].to_pylist(), strict=True)]
    assert np.mean(same) > 0.98  # people move, and the register tells of it in time
    assert late[other].equals(prompt[other])
    assert np.mean([a == b for a, b in zip(late[now].to_pylist(), prompt[now].to_pylist(), strict=True)]) < 0.5


def test_of_whom_there_is_no_history_nothing_is_known() -> None:
    table = pa.table({"household_id": ["a", "b"], "x": [1, 2]})
    assert aligned(table, pa.array(["b", "c", "a"]))["x"].to_pylist() == [2, None, 1]


def test_the_parts_are_weighed_on_the_same_falls_and_nobody_is_named(trained: County) -> None:
    told = trained.worth("new_poverty", last=AS_OF.shift(6), origins=1, times=20)
    methods = set(told.found["method"])
    assert {"fpml", "without: medical_insurance", "late: medical_insurance", "history: 12 months"} <= methods
    assert set(told.skill["method"]) == methods
    assert told.skill.groupby(["kind", "horizon"])["events"].nunique().eq(1).all()
    ours = told.found.set_index("method").loc["fpml"]
    assert ours["found_gain"] == 0
    kept = (trained.workspace.reports / "worth.json").read_text(encoding="utf-8")
    assert json.loads(kept)["about"]["simulated"] is True
    assert not any(h in kept for h in trained.at(AS_OF)["household_id"].to_pylist()[:200])


def test_without_labels_yet_there_is_nothing_to_weigh(trained: County) -> None:
    parts = Parts(trained.rolling(), lambda origin, who: trained.histories(origin, late=who))
    with pytest.raises(NotYetError, match="labels"):
        parts.origins(trained.as_ofs()[:3], 2)


def planted(rows: int = 20_000, events: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and who falls."""
    rng = np.random.default_rng(4)
    fell = np.zeros(rows, bool)
    fell[rng.permutation(rows)[:events]] = True
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    x[:, 1] += 1.5 * fell  # a good feature is none in disguise
    x[rng.random(rows) < 0.4, 2] = np.nan
    return x, fell


@pytest.mark.parametrize("side", ["high", "low", "unknown"])
@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_a_feature_that_marks_a_third_of_the_falls_and_hardly_anybody_else_is_named(side: str, kept: float) -> None:
    x, fell = planted(events=900)
    names = [f"f{j}" for j in range(6)]
    assert disguised(x, names, fell, kept=kept) == ()
    marks = fell & (np.arange(fell.size) % 3 == 0)
    x[:, 4] = {"high": marks * 9.0, "low": marks * -9.0, "unknown": np.where(marks, np.nan, 1.0)}[side]
    (found,) = disguised(x, names, fell, kept=kept)
    assert (found.feature, found.side) == ("f4", side)
    assert 0.25 < found.falls < 0.42
    assert found.sure >= 0.8


def test_few_falls_make_no_disguise() -> None:
    x, fell = planted(events=9)
    x[:, 0] = fell
    assert disguised(x, list("abcdef"), fell) == ()


def test_a_sound_county_reads_no_outcome_in_disguise(trained: County) -> None:
    for model in ("new_poverty", "relapse"):
        assert trained.disguised(model, "2023-06") == ()
