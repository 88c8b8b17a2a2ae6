"""The model: exact contributions, calibration that never reorders, saved as text, learnt only from what had matured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st

from fpml import features
from fpml.catalogue import Catalogue
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError, PolicyError
from fpml.risk import (
    Calibration,
    LearningRows,
    ModelDefinition,
    RiskModel,
    contributions,
    fit,
    fit_calibration,
    load_definition,
    sampled,
    with_features,
)
from fpml.risk.learning import chances, households_hashed

ORIGIN = AsOf.parse("2023-06")


def learning(definition: ModelDefinition, histories: pa.Table, catalogue: Catalogue, *origins: AsOf) -> LearningRows:
    """What is learnt from whole histories at some origins."""
    return with_features(sampled(definition, histories, catalogue, origins=origins), histories)


def fitted(
    county: County, histories: pa.Table, origin: AsOf, *, definition: ModelDefinition | None = None, **asked: Any
) -> RiskModel:
    """The model of new poverty at an origin, from whole histories."""
    definition = definition or county.definition("new_poverty")
    rows = learning(definition, histories, county.catalogue, origin)
    return fit(definition, rows, county.catalogue, origin=origin, **asked)


def sparing(county: County) -> ModelDefinition:
    """The definition of new poverty, of a few negatives only."""
    return county.definition("new_poverty").model_copy(update={"negatives": 4000})


@pytest.fixture(scope="module")
def model(trained: County) -> RiskModel:
    return next(iter(trained.models("2023-06").values()))


def matrix(county: County, model: RiskModel) -> np.ndarray:
    return features.matrix(county.at(ORIGIN), model.features, county.catalogue)


def test_contributions_and_base_sum_to_the_raw_log_odds(trained: County, model: RiskModel) -> None:
    x = matrix(trained, model)
    for horizon in model.calibrations:
        told = contributions(model, x, horizon, trained.catalogue)
        assert np.abs(told.grouped.sum(axis=1) + told.base - model.raw(x, horizon)).max() < 1e-6


def test_contributions_are_those_of_shaps_own_explainer(trained: County, model: RiskModel) -> None:
    x = matrix(trained, model)[:20]
    horizon = min(model.calibrations)
    stacked = np.column_stack([x, np.full(len(x), horizon, np.float32)])
    one = RiskModel(model.outcome, model.features, model.boosters[:1], model.calibrations, model.learnt, model.meaning)
    import lightgbm as lgb

    # Shap's own trees and arithmetic, not LightGBM's: built from the dumped trees.
    explainer = shap.TreeExplainer(lgb.Booster(model_str=model.boosters[0]))
    theirs = explainer(stacked.astype(np.float64)).values
    ours, _ = one.contributions(x, horizon)
    assert np.abs(ours - theirs[:, : len(model.features)]).max() < 1e-6


def test_every_group_is_an_indicator_or_a_named_group(trained: County, model: RiskModel) -> None:
    told = contributions(model, matrix(trained, model)[:5], min(model.calibrations), trained.catalogue)
    assert all(trained.catalogue.group_name(g, "zh") for g in told.groups)
    assert all(
        trained.catalogue.group(model.features[i]) == told.groups[g]
        for g in range(len(told.groups))
        for i in told.leading[:, g]
    )


@settings(max_examples=50, deadline=None)
@given(raw=st.lists(st.floats(-8, 8), min_size=30, max_size=80), seed=st.integers(0, 2**31))
def test_calibration_never_changes_the_order(raw: list[float], seed: int) -> None:
    scores = np.array(raw)
    y = (np.random.default_rng(seed).random(scores.size) < 0.3).astype(np.int8)
    told = fit_calibration(scores, y)
    order = np.argsort(scores, kind="stable")
    assert told.slope > 0
    assert (np.diff(told(scores)[order]) >= 0).all()


def test_calibration_recovers_a_known_distortion() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(-2, 1, 200_000)
    y = (rng.random(truth.size) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    told = fit_calibration((truth - 1) / 2, y)
    assert told.slope == pytest.approx(2, abs=0.03)
    assert told.intercept == pytest.approx(1, abs=0.03)


def test_a_saved_model_is_text_and_scores_the_same_when_loaded(
    trained: County, model: RiskModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "m")
    assert {p.suffix for p in (tmp_path / "m").iterdir()} == {".txt", ".json"}
    back = RiskModel.load(tmp_path / "m")
    x = matrix(trained, model)
    horizon = min(model.calibrations)
    assert (back.probability(x, horizon) == model.probability(x, horizon)).all()
    assert back.fingerprint == model.fingerprint


def test_a_changed_or_damaged_model_is_refused(model: RiskModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    card["calibrations"][str(min(model.calibrations))]["slope"] = 9.0
    (tmp_path / "m" / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="changed since"):
        RiskModel.load(tmp_path / "m")
    card = card | {"kept": 0.5}
    card["calibrations"][str(min(model.calibrations))]["slope"] = model.calibrations[min(model.calibrations)].slope
    (tmp_path / "m" / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="changed since"):
        RiskModel.load(tmp_path / "m")
    (tmp_path / "m" / "model.json").write_text(json.dumps({k: v for k, v in card.items() if k != "kept"}))
    with pytest.raises(InputError, match="damaged"):
        RiskModel.load(tmp_path / "m")
    (tmp_path / "m" / "booster-0.txt").unlink()
    with pytest.raises(InputError, match="damaged"):
        RiskModel.load(tmp_path / "m")


def test_what_happens_after_the_origin_does_not_change_the_model(trained: County) -> None:
    everything = trained.histories(*trained.as_ofs())
    origin = AsOf.parse("2023-04")
    known = everything.filter(pa.array(features.as_of_months(everything) <= origin.month))
    for definition in (trained.definition("new_poverty"), sparing(trained)):
        whole = fitted(trained, everything, origin, definition=definition)
        assert fitted(trained, known, origin, definition=definition).fingerprint == whole.fingerprint


def test_rows_in_another_order_give_the_same_folds_and_the_same_sample(trained: County) -> None:
    table = trained.at(ORIGIN)
    backwards = table.take(pa.array(np.arange(table.num_rows)[::-1]))
    assert (households_hashed(backwards, octets=4)[::-1] == households_hashed(table, octets=4)).all()
    assert (chances(backwards, seed=3)[::-1] == chances(table, seed=3)).all()


def test_households_left_out_are_not_learnt_from(trained: County) -> None:
    histories = trained.histories(*trained.as_ofs())
    ids = sorted(set(histories["household_id"].to_pylist()))
    without = set(ids[::4])
    # Of a sample the share that is kept would be another's: all are learnt from.
    own = trained.definition("new_poverty")
    asked = own.model_copy(update={"negatives": None, "trees": own.trees.model_copy(update={"rounds": 20})})
    all_of = fitted(trained, histories, ORIGIN, definition=asked)
    fewer = fitted(trained, histories, ORIGIN, definition=asked, without=without)
    assert fewer.learnt.households < all_of.learnt.households
    kept = histories.filter(pa.array([h not in without for h in histories["household_id"].to_pylist()]))
    assert fitted(trained, kept, ORIGIN, definition=asked).learnt == fewer.learnt


def test_too_few_falls_is_said_and_no_model_is_made(trained: County) -> None:
    with pytest.raises(NotYetError, match="known falls"):
        fitted(trained, trained.histories(*trained.as_ofs()), AsOf.parse("2021-06"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("outcome: new_poverty|outcome: new_povert", "Did you mean `new_poverty`"),
        ("learn_horizons: [1, 3, 6, 12]|learn_horizons: [1, 3]", "scored and not learnt"),
        ("learning_rate: 0.1|learning_rate: 3", "learning_rate"),
        ("negatives: 4000|negatives: 5", "negatives"),
        ("seed:|sed:", "unknown key `sed`"),
    ],
)
def test_a_faulty_definition_is_refused_with_its_place(trained: County, tmp_path: Path, change: str, said: str) -> None:
    old, new = change.split("|")
    text = (trained.workspace.definitions / "new_poverty.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "new_poverty.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"new_poverty\.yaml") as e:
        load_definition(tmp_path / "new_poverty.yaml", trained.catalogue)
    assert said in str(e.value)


def test_probabilities_within_a_longer_horizon_are_not_smaller(trained: County) -> None:
    scores = trained.scores("2023-06")
    wide = scores.pivot(index=["household_id", "outcome"], columns="horizon", values="probability")
    wide = wide.dropna()
    assert (wide[12] >= wide[3]).all()


def test_calibration_of_few_events_keeps_the_slope() -> None:
    assert fit_calibration(np.linspace(-3, 3, 40), (np.arange(40) % 10 == 0).astype(np.int8)).slope == 1
    assert Calibration(0, 1)(np.array([0.0])) == 0.5


def test_a_model_learnt_when_the_line_meant_something_else_is_not_used(trained: County, tmp_path: Path) -> None:
    import shutil

    import fpml

    root = Path(shutil.copytree(trained.workspace.root, tmp_path / "county"))
    profile = root / "policy" / "county.yaml"
    profile.write_text(profile.read_text(encoding="utf-8").replace("7600", "20000"), encoding="utf-8")
    with pytest.raises(NotYetError, match="meant something else"):
        fpml.open(root).scores("2023-06")


def test_the_model_trained_last_is_the_one_used_even_when_it_was_trained_before(
    model: RiskModel, tmp_path: Path
) -> None:
    import os

    model.save(tmp_path / "a")
    os.utime(tmp_path / "a" / "model.json", (1, 1))
    model.save(tmp_path / "a")
    assert (tmp_path / "a" / "model.json").stat().st_mtime > 1


def test_a_month_that_the_ledger_does_not_reach_is_not_published(trained: County) -> None:
    with pytest.raises(NotYetError, match="the ledger reaches 2023-12"):
        trained.warning_list("2024-03")
