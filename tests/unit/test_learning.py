"""What a model learns from: every fall, a known share of the rest, and probabilities that this does not bias."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from fpml.catalogue import Catalogue, Condition, OutcomeDefinition, Words
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import PolicyError
from fpml.features import as_of_months, matrix, one_by_one
from fpml.measure.backtest import Learners
from fpml.measure.baselines import logistic_regression, plain_lightgbm
from fpml.outcomes import Bools, labels, matured, risk_set
from fpml.risk import (
    LEAST_FALLEN,
    LearningRows,
    ModelDefinition,
    Once,
    RiskModel,
    Sample,
    Seen,
    contributions,
    fit,
    sampled,
    with_features,
)
from fpml.risk.definition import Trees, load_definition
from fpml.risk.grove import Grove
from fpml.risk.learning import KEPT, chances
from fpml.risk.shown import Shown

FIRST, THEN = AsOf.parse("2023-01"), AsOf.parse("2023-02")
HOUSEHOLDS = 40_000
ORIGINS = tuple(AsOf.parse(m) for m in ("2023-01", "2023-04", "2023-06"))
FEATURE = "members__last__ever"


def definition(**changed: object) -> ModelDefinition:
    """A model of one month ahead."""
    trees = Trees(
        learning_rate=0.1, num_leaves=7, min_data_in_leaf=40, feature_fraction=1, bagging_fraction=1, lambda_l2=1,
        rounds=300, patience=20,
    )  # fmt: skip
    return ModelDefinition(outcome="fall", learn_horizons=(1,), folds=2, seed=1, trees=trees).model_copy(update=changed)


@pytest.fixture(scope="module")
def world(catalogue: Catalogue) -> tuple[Catalogue, pa.Table, Bools]:
    """A policy with one outcome, histories of two months in which large families fall more often, and who fell."""
    outcome = OutcomeDefinition(
        name=Words(en="fall"),
        at_risk=(Condition(feature="income", at_least=1),),  # type: ignore[arg-type]
        fall=Condition(feature="income", below=1),  # type: ignore[arg-type]
        horizons=(1,),
    )
    county = catalogue.county.model_copy(update={"outcomes": {"fall": outcome}, "ranked_by": None})
    rng = np.random.default_rng(3)
    members = rng.integers(0, 10, HOUSEHOLDS)
    fell = rng.random(HOUSEHOLDS) < expit(-6 + 0.4 * members)
    names = [f"h{i:05}" for i in range(HOUSEHOLDS)]
    table = pa.table(
        {
            "household_id": pa.array(names + names),
            "as_of": pa.array([FIRST.date] * HOUSEHOLDS + [THEN.date] * HOUSEHOLDS, pa.date32()),
            "income": np.concatenate([np.full(HOUSEHOLDS, 2.0), np.where(fell, 0.5, 2.0)]),
            FEATURE: np.concatenate([members, members]),
        }
    )
    return replace(catalogue, county=county), table, fell


def fitted(world: tuple[Catalogue, pa.Table, Bools], negatives: int | None) -> tuple[RiskModel, Sample]:
    policy, table, _ = world
    others = tuple(n for n in policy.model_features() if n != FEATURE)
    asked = definition(negatives=negatives, leave_out=others)
    sample = sampled(asked, table, policy, origins=[THEN])
    return fit(asked, with_features(sample, table), policy, origin=THEN), sample


def test_a_share_of_the_negatives_gives_unbiased_probabilities(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    policy, table, fell = world
    model, sample = fitted(world, 4000)
    assert 0.05 < model.kept < 0.15
    assert sample.rows.num_rows == pytest.approx(4000 + fell.sum(), rel=0.1)
    x = matrix(table.slice(0, HOUSEHOLDS), (FEATURE,), policy)
    # What is calibrated would be right on the whole even without the offset: what is raw would not.
    for expected in (expit(model.raw(x, 1)), model.probability(x, 1)):
        assert expected.sum() / fell.sum() == pytest.approx(1, abs=0.08)
    # Few rounds of trees stay near the mean, whatever share is kept: in bands it is calibration that makes it right.
    for few, many in pairwise((0, 4, 7, 10)):
        band = (x[:, 0] >= few) & (x[:, 0] < many)
        assert expected[band].sum() / fell[band].sum() == pytest.approx(1, abs=0.25)
    without = expit(model.raw(x, 1) - model.offset)
    assert without.sum() / fell.sum() > 3


def test_contributions_and_base_hold_the_offset(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    policy, table, _ = world
    model, _ = fitted(world, 4000)
    x = matrix(table.slice(0, 500), (FEATURE,), policy)
    told = contributions(model, x, 1, policy)
    assert model.offset < -1
    assert np.abs(told.grouped.sum(axis=1) + told.base - model.raw(x, 1)).max() < 1e-6


def test_where_there_are_fewer_negatives_than_wanted_all_are_learnt(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    whole, sample = fitted(world, None)
    assert sample.rows.num_rows == HOUSEHOLDS
    assert whole.kept == 1
    assert fitted(world, 10**6)[0].fingerprint == whole.fingerprint
    assert fitted(world, 4000)[0].fingerprint != whole.fingerprint


def keys(sample: Sample, rows: np.ndarray) -> set[tuple[str, int]]:
    chosen = sample.rows.take(pa.array(rows))
    return set(zip(chosen["household_id"].to_pylist(), as_of_months(chosen).tolist(), strict=True))


def test_a_sample_is_every_fall_known_and_of_the_rest_what_chance_says(trained: County) -> None:
    asked = trained.definition("new_poverty").model_copy(update={"negatives": 4000, "learn_rows": "at_risk"})
    whole = trained.histories(*trained.as_ofs())
    outcome, origin = trained.catalogue.county.outcomes["new_poverty"], ORIGINS[-1]
    sample = sampled(asked, whole, trained.catalogue, origins=[origin])
    months, u = as_of_months(whole), chances(whole, seed=asked.seed)
    at_risk = risk_set(outcome, whole, trained.catalogue).at_risk
    told = {h: labels(outcome, whole, trained.catalogue, h) for h in asked.learn_horizons}
    due = {h: at_risk & matured(months, h, outcome, origin.month) for h in told}
    negatives = np.any([due[h] & (told[h] == 0) for h in told], axis=0).sum()
    assert sample.kept(origin) == 4000 / negatives < 0.5
    names = np.array(whole["household_id"].to_pylist())
    for h, label in told.items():
        expected = due[h] & ((label == 1) | ((label == 0) & (u < sample.kept(origin))))
        assert keys(sample, sample.learnt(h, origin)) == set(
            zip(names[expected].tolist(), months[expected].tolist(), strict=True)
        )


def test_with_any_risk_all_who_are_at_risk_of_any_such_outcome_are_learnt_from(trained: County) -> None:
    asked = trained.definition("renewed").model_copy(update={"negatives": None})
    whole, origin = trained.histories(*trained.as_ofs()), ORIGINS[-1]
    alone = sampled(asked.model_copy(update={"learn_rows": "at_risk"}), whole, trained.catalogue, origins=[origin])
    sample = sampled(asked, whole, trained.catalogue, origins=[origin])
    own, every = np.flatnonzero(sample.at_risk), np.arange(sample.rows.num_rows)
    assert keys(sample, own) == keys(alone, np.arange(alone.rows.num_rows)), "every cleared household's months"
    assert sample.judged.all()
    outcomes = trained.catalogue.county.outcomes
    assert own.size > 500
    update = {"negatives": None, "learn_rows": "at_risk"}
    others = [sampled(trained.definition(n).model_copy(update=update), whole, trained.catalogue, origins=[origin])
              for n in outcomes if n != "renewed"]  # fmt: skip
    there = set().union(*(keys(o, np.arange(o.rows.num_rows)) for o in others))
    assert keys(sample, every) - keys(sample, own) == there
    falls = sum(int(sample.label[6][rows].sum()) for rows in [sample.learnt(6, origin)])
    own_falls = sum(int(alone.label[6][rows].sum()) for rows in [alone.learnt(6, origin)])
    assert falls > 5 * own_falls > 0


def small(county: County) -> dict[str, ModelDefinition]:
    """The county's definitions, of few features and rounds."""
    shown = ("income", "formerly_poor__last__ever", "monitored__count__ever", FEATURE)
    own = {n: county.definition(n) for n in county.model_names()}
    left = tuple(n for n in county.catalogue.model_features() if n not in shown)
    trees = own["relapse"].trees.model_copy(update={"rounds": 20, "feature_fraction": 1.0})
    return {n: d.model_copy(update={"leave_out": left, "trees": trees}) for n, d in own.items()}


def test_outcomes_that_learn_from_the_same_share_trees_which_are_grown_once(trained: County) -> None:
    origin, lessons = ORIGINS[-1], trained.lessons.rows(ORIGINS[-1])
    calls: list[int] = []

    def counted(work: Callable[[Any], Any], parts: Iterable[Any]) -> list[Any]:
        calls.append(1)
        return list(map(work, parts))

    fresh, common = {n: replace(of, once=Once()) for n, of in lessons.items()}, Once()
    together = {n: replace(of, once=common) for n, of in lessons.items()}
    asked = small(trained)

    def grown(of: Mapping[str, LearningRows]) -> tuple[dict[str, RiskModel], int]:
        calls.clear()
        made = {n: fit(d, of[n], trained.catalogue, origin=origin, run=counted) for n, d in asked.items()}
        return made, len(calls)

    shared, once = grown(together)
    alone, thrice = grown(fresh)
    assert (once, thrice) == (1, 3)
    assert {n: m.fingerprint for n, m in shared.items()} == {n: m.fingerprint for n, m in alone.items()}
    assert len({m.boosters for m in shared.values()}) == 1
    assert len({m.fingerprint for m in shared.values()}) == 3, "each is calibrated by its own"
    other = asked["relapse"].model_copy(update={"seed": 1})
    assert fit(other, together["relapse"], trained.catalogue, origin=origin).boosters != shared["relapse"].boosters
    spared = sorted(set(lessons["relapse"].sample.rows["household_id"].to_pylist()))[:50]
    without = fit(asked["relapse"], together["relapse"], trained.catalogue, origin=origin, without=spared)
    assert without.boosters != shared["relapse"].boosters


def test_samples_of_other_household_months_or_labels_have_other_digests(trained: County) -> None:
    sample = trained.lessons.rows(ORIGINS[-1])["relapse"].sample
    assert {of.sample.digest for of in trained.lessons.rows(ORIGINS[-1]).values()} == {sample.digest}
    label = {h: of.copy() for h, of in sample.label.items()}
    label[6][0] = 1 - label[6][0]
    judged = sample.judged.copy()
    judged[0] = ~judged[0]
    others = [replace(sample, label=label), replace(sample, judged=judged), replace(sample, wanted=7),
              replace(sample, chance=np.roll(sample.chance, 1))]  # fmt: skip
    assert len({sample.digest, *(o.digest for o in others)}) == 5


def test_of_what_is_made_once_the_latest_are_kept() -> None:
    once, made = Once(), list[int]()
    for n in [*range(KEPT + 1), KEPT, 0]:
        assert once(n, lambda n=n: made.append(n) or n) == n  # type: ignore[misc, func-returns-value]
    assert made == [*range(KEPT + 1), 0]


def test_few_falls_at_risk_are_calibrated_by_all_that_are_judged(trained: County) -> None:
    asked, origin = trained.definition("renewed"), ORIGINS[-1]
    shown = Shown.of(asked, trained.lessons.rows(origin)["renewed"], trained.catalogue, origin=origin)
    own = shown.at_risk & (shown.horizon == 6)
    assert 0 < shown.fallen(own) < LEAST_FALLEN < shown.fallen(shown.horizon == 6)
    assert not shown.at_risk[shown.level(6)[0]].all()
    # Many months of one household are one fall still.
    many = replace(shown, label=np.where(own, 1, shown.label).astype(np.int8))
    one = replace(many, household=np.where(own, 7, shown.household))
    assert not one.at_risk[one.level(6)[0]].all()
    assert many.fallen(own) >= LEAST_FALLEN
    assert many.level(6)[0].tolist() == np.flatnonzero(own).tolist()


def test_a_horizon_shorter_than_the_register_s_delay_is_calibrated_by_the_last_months_of_it(trained: County) -> None:
    asked, origin = trained.definition("relapse").model_copy(update={"delay": 4}), ORIGINS[-1]
    whole = trained.histories(*trained.as_ofs())
    sample = sampled(asked, whole, trained.catalogue, origins=[origin])
    shown = Shown.of(asked, with_features(sample, whole), trained.catalogue, origin=origin)
    outcome = trained.catalogue.county.outcomes["relapse"]
    by = {h: labels(outcome, whole, trained.catalogue, h) for h in (1, 3, 4, 6)}
    names = zip(whole["household_id"].to_pylist(), as_of_months(whole).tolist(), strict=True)
    row = {k: i for i, k in enumerate(names)}
    told = list(zip(sample.rows["household_id"].to_pylist(), as_of_months(sample.rows).tolist(), strict=True))
    place = np.array([row[told[i]] for h in asked.learn_horizons for i in sample.dealt(h, origin)])
    own = risk_set(outcome, whole, trained.catalogue).at_risk
    outcomes = trained.catalogue.county.outcomes.values()
    every = np.any([risk_set(o, whole, trained.catalogue).at_risk for o in outcomes], axis=0)
    household = np.array(whole["household_id"].to_pylist())
    due = matured(as_of_months(whole), 6, outcome, origin.month)
    for h, before in ((1, by[3]), (3, by[1])):
        rows, label, weight = shown.level(h)
        assert (shown.horizon[rows] == 6).all(), "of six months: who entered within four is there whole"
        window = due & (by[4] == 1) & (before == 0)
        mine = own if len(set(household[window & own])) >= LEAST_FALLEN else every
        entered = mine & window
        assert set(place[rows[label == 1]].tolist()) == set(np.flatnonzero(entered).tolist()), (
            "every entry of those months"
        )
        assert entered.sum() > 5
        stand = (shown.horizon == 6) & mine[place] & (before[place] == 0) & (by[4][place] == 0)
        assert set(rows[label == 0].tolist()) == set(np.flatnonzero(stand).tolist())
        assert (weight[(label == 1) | (by[6][place[rows]] == 1)] == 1).all()
        assert (weight[by[6][place[rows]] == 0] == 1 / shown.kept).all()
    for h in (6, 12):
        rows, label, weight = shown.level(h)
        assert (shown.horizon[rows] == h).all()
        assert label.tolist() == shown.label[rows].tolist()
        assert weight.tolist() == shown.weight[rows].tolist()
    nobody = replace(shown, late={1: np.zeros(shown.label.size, np.int8)})
    assert (shown.horizon[nobody.level(1)[0]] == 1).all(), "where nobody entered then, by the horizon's own label"


def test_short_horizons_foretell_who_enters_late(trained: County) -> None:
    """Each horizon scored as itself: its expected falls are those of the months it is calibrated by."""
    asked, origin = trained.definition("new_poverty"), ORIGINS[-1]
    learning = trained.lessons.rows(origin)["new_poverty"]
    shown = Shown.of(asked, learning, trained.catalogue, origin=origin)
    for delay in (0, 4):
        of = asked.model_copy(update={"delay": delay})
        late = learning if delay else replace(learning, sample=replace(learning.sample, late={}))
        grove = Grove.of(of, shown, trained.catalogue, horizons=(1, 3, 6, 12))
        model = fit(of, late, trained.catalogue, origin=origin)
        for h in (1, 3):
            rows, label, weight = (shown if delay else replace(shown, late={})).level(h)
            expected = model.calibrations[h](grove.out_of_fold(shown, rows, h)) * weight
            assert expected.sum() / (label * weight).sum() == pytest.approx(1, abs=0.1)
    some = np.flatnonzero(shown.horizon == 6)[:500]
    one, six = grove.out_of_fold(shown, some, 1), grove.out_of_fold(shown, some, 6)
    held = shown.fold[0][some] == 0
    x = shown.x[some[held]].copy()
    x[:, -1] = 1
    assert np.allclose(one[held], grove.boosters[0].predict(x, raw_score=True) + np.log(shown.kept))
    assert not np.allclose(one, six)


@pytest.mark.parametrize(
    ("change", "said"), [("delay: 4|delay: 13", "horizons of up to 12"), ("delay: 4|delay: -1", "delay")]
)
def test_a_delay_that_cannot_be_is_refused(trained: County, tmp_path: Path, change: str, said: str) -> None:
    old, new = change.split("|")
    text = (trained.workspace.definitions / "relapse.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "relapse.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PolicyError, match=said):
        load_definition(tmp_path / "relapse.yaml", trained.catalogue)


def test_trees_are_grown_anew_where_an_audit_has_told_since(trained: County) -> None:
    origin = ORIGINS[-1]
    learning = replace(trained.lessons.rows(origin)["relapse"], once=Once())
    asked = small(trained)["relapse"].model_copy(update={"audited": True})
    listed = {m: pa.array(learning.sample.rows["household_id"].to_pylist()[:300]) for m in range(24_250, 24_281)}
    told = [replace(learning, seen=lambda _, s=s: Seen(s, 0.2, 50, listed)) for s in (0.9, 0.3)]  # type: ignore[misc]
    one, other = (fit(asked, of, trained.catalogue, origin=origin) for of in told)
    assert one.boosters != other.boosters
    assert other.boosters == fit(asked, replace(told[1], once=Once()), trained.catalogue, origin=origin).boosters


def test_methods_that_are_made_once_say_what_each_would_by_itself(trained: County) -> None:
    origin, lessons = ORIGINS[-1], trained.lessons.rows(ORIGINS[-1])
    seen = trained.at(str(origin)).slice(0, 200)
    said, asked = [], small(trained)
    for common in (Once(), None):
        for n in ("new_poverty", "relapse"):
            of = replace(lessons[n], once=common or Once())
            learners = Learners.at(asked[n], of, trained.catalogue, origin, run=one_by_one)
            said.append(learners.say(seen, n, origin, trained.catalogue).score)
    for shared, alone in zip(said[:2], said[2:], strict=True):
        assert all(np.array_equal(shared[m], alone[m]) for m in shared)


def test_a_renewed_spell_s_probabilities_are_those_of_the_cleared(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    """Large families are the cleared here, and fall much more often than those that are learnt from besides."""
    policy, table, _ = world
    at = policy.county.outcomes["fall"].at_risk
    cleared = (*at, Condition(feature=FEATURE, at_least=8))  # type: ignore[arg-type]
    others = (*at, Condition(feature=FEATURE, below=8))  # type: ignore[arg-type]
    outcomes = {n: policy.county.outcomes["fall"].model_copy(update={"at_risk": r})
                for n, r in (("fall", cleared), ("other", others))}  # fmt: skip
    catalogue = replace(policy, county=policy.county.model_copy(update={"outcomes": outcomes}))
    left = tuple(n for n in policy.model_features() if n != FEATURE)
    asked = definition(negatives=4000, leave_out=left, learn_rows="any_risk")
    sample = sampled(asked, table, catalogue, origins=[THEN])
    model = fit(asked, with_features(sample, table), catalogue, origin=THEN)
    first = table.slice(0, HOUSEHOLDS)
    members = first[FEATURE].to_numpy()
    mine = members >= 8
    fell = table["income"].to_numpy()[HOUSEHOLDS:] < 1
    told = model.probability(matrix(first.filter(pa.array(mine)), (FEATURE,), catalogue), 1)
    assert told.sum() / fell[mine].sum() == pytest.approx(1, abs=0.1)
    assert sample.judged.all()
    assert 0.2 < sample.at_risk.mean() < 0.6
    assert model.learnt.own_falls == fell[mine].sum()
    mixed = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    again = sampled(asked, mixed, catalogue, origins=[THEN])
    assert keys(sample, sample.learnt(1, THEN)) == keys(again, again.learnt(1, THEN))


def test_where_there_is_no_other_outcome_any_risk_is_its_own(trained: County) -> None:
    county, origin = trained.catalogue.county, ORIGINS[-1]
    only = replace(
        trained.catalogue, county=county.model_copy(update={"outcomes": {"relapse": county.outcomes["relapse"]}})
    )
    asked = load_definition(trained.workspace.definitions / "relapse.yaml", only)
    assert asked.learn_rows == "any_risk"
    whole = trained.histories(*trained.as_ofs())
    one = sampled(asked, whole, only, origins=[origin])
    assert one.at_risk.all()
    assert (
        one.digest == sampled(asked.model_copy(update={"learn_rows": "at_risk"}), whole, only, origins=[origin]).digest
    )


def test_one_sample_serves_every_origin_and_knows_nothing_later(trained: County) -> None:
    asked = trained.definition("new_poverty").model_copy(update={"negatives": 4000, "learn_rows": "at_risk"})
    whole = trained.histories(*trained.as_ofs())
    months = as_of_months(whole)
    pool = sampled(asked, whole, trained.catalogue, origins=ORIGINS)
    assert pool.kept(ORIGINS[0]) > pool.kept(ORIGINS[1]) > pool.kept(ORIGINS[2])
    for origin in ORIGINS:
        known = whole.filter(pa.array(months <= origin.month))
        alone = sampled(asked, known, trained.catalogue, origins=[origin])
        assert alone.kept(origin) == pool.kept(origin)
        for h in asked.learn_horizons:
            assert keys(alone, alone.learnt(h, origin)) == keys(pool, pool.learnt(h, origin))


def test_a_sample_does_not_depend_on_the_order_of_rows(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    policy, table, _ = world
    asked = definition(negatives=4000)
    mixed = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    one, other = (sampled(asked, t, policy, origins=[THEN]) for t in (table, mixed))
    assert keys(one, one.learnt(1, THEN)) == keys(other, other.learnt(1, THEN))
    spread = np.histogram(chances(table, seed=1), bins=10, range=(0, 1))[0]
    assert spread == pytest.approx(table.num_rows / 10, rel=0.05)
    assert abs(np.corrcoef(chances(table, seed=1), chances(table, seed=2))[0, 1]) < 0.02
    first = chances(table, seed=1)[:HOUSEHOLDS]
    assert abs(np.corrcoef(first, chances(table, seed=1)[HOUSEHOLDS:])[0, 1]) < 0.02


def test_a_sample_whose_rows_have_no_history_is_refused(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    policy, table, _ = world
    sample = sampled(definition(), table, policy, origins=[THEN])
    with pytest.raises(ValueError, match="have no history"):
        with_features(sample, table.slice(100))


def test_baselines_tell_the_risk_of_all_though_they_learn_from_a_share_of_the_negatives() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60_000, 2)).astype(np.float32)
    y = (rng.random(60_000) < expit(-5 + x[:, 0])).astype(np.int64)
    shown = (y == 1) | (rng.random(60_000) < 0.1)
    learnt = x[shown], y[shown]
    for told, uncorrected in (
        (logistic_regression(*learnt, kept=0.1)(x), logistic_regression(*learnt)(x)),
        (plain_lightgbm(*learnt, seed=1, kept=0.1)(x), plain_lightgbm(*learnt, seed=1)(x)),
    ):
        assert 0.85 < told.sum() / y.sum() < 1.15
        assert uncorrected.sum() / y.sum() > 3
        assert (np.argsort(told, kind="stable") == np.argsort(uncorrected, kind="stable")).all()


def test_repeats_deal_the_households_anew_and_hold_each_out_once_a_repeat(
    world: tuple[Catalogue, pa.Table, Bools],
) -> None:
    policy, table, _ = world
    others = tuple(n for n in policy.model_features() if n != FEATURE)
    asked = definition(leave_out=others, repeats=3)
    lessons = with_features(sampled(asked, table, policy, origins=[THEN]), table)
    shown = Shown.of(asked, lessons, policy, origin=THEN)
    assert shown.fold.shape == (3, shown.label.size)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.mean(shown.fold[one] == shown.fold[other]) == pytest.approx(0.5, abs=0.02)
    once = Shown.of(asked.model_copy(update={"repeats": 1}), lessons, policy, origin=THEN)
    assert np.array_equal(once.fold[0], shown.fold[0])
    model = fit(asked, lessons, policy, origin=THEN)
    assert len(model.boosters) == 6
    assert len(set(model.boosters)) == 6


def test_what_is_calibrated_on_was_never_learnt_from(world: tuple[Catalogue, pa.Table, Bools]) -> None:
    """Labels by chance that trees can learn by heart, row by row: held out they are told no better than chance."""
    policy, table, _ = world
    rng = np.random.default_rng(0)
    income = np.concatenate([np.full(HOUSEHOLDS, 2.0), np.where(rng.random(HOUSEHOLDS) < 0.3, 0.5, 2.0)])
    number = rng.permutation(HOUSEHOLDS)
    by_chance = table.set_column(2, "income", pa.array(income)).set_column(3, FEATURE, pa.array([*number, *number]))
    trees = Trees(
        learning_rate=0.5, num_leaves=500, min_data_in_leaf=1, feature_fraction=1, bagging_fraction=1, lambda_l2=0,
        rounds=3, patience=3,
    )  # fmt: skip
    others = tuple(n for n in policy.model_features() if n != FEATURE)
    asked = definition(leave_out=others, repeats=2, trees=trees)
    model = fit(asked, with_features(sampled(asked, by_chance, policy, origins=[THEN]), by_chance), policy, origin=THEN)
    # Learnt from its own rows the slope would be near 1 or above it.
    assert model.calibrations[1].slope < 0.3
