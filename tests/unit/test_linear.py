"""The regression beside the trees: smooth, kept as numbers, and taken apart exactly."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from fpml.catalogue import Catalogue
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import PolicyError
from fpml.features import matrix
from fpml.risk import RiskModel, contributions, fit, sampled, with_features
from fpml.risk.definition import Beside, load_definition
from fpml.risk.linear import Linear

ROWS = 20_000


def rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (one that bends the risk, one skewed, one mostly unknown, one never told), risk and labels."""
    rng = np.random.default_rng(seed)
    x = np.full((ROWS, 4), np.nan, np.float32)
    x[:, 0] = rng.normal(0, 1, ROWS)
    x[:, 1] = np.exp(rng.normal(0, 2, ROWS))
    known = rng.random(ROWS) < 0.4
    x[known, 2] = rng.normal(0, 1, int(known.sum()))
    risk = -2 + 1.5 * np.maximum(x[:, 0], 0) - 0.7 * np.log1p(x[:, 1]) + 0.8 * ~known
    return x, risk, (rng.random(ROWS) < expit(risk)).astype(np.int8)


def test_bends_logs_and_flags_tell_the_risk_that_is_there() -> None:
    x, risk, label = rows(1)
    bent, straight = (Linear.fit(x, label, b) for b in ([0], []))
    assert np.corrcoef(bent.raw(x), risk)[0, 1] > 0.99
    assert np.corrcoef(straight.raw(x), risk)[0, 1] < np.corrcoef(bent.raw(x), risk)[0, 1] - 0.01
    assert 3 not in bent.terms.feature


def test_contributions_and_intercept_are_the_whole() -> None:
    x, _, label = rows(2)
    told = Linear.fit(x, label, [0])
    assert np.allclose(told.contributions(x).sum(axis=1) + told.intercept, told.raw(x), atol=1e-12)
    assert (told.contributions(x)[:, 3] == 0).all()


def test_extreme_and_unknown_values_stay_in_reach() -> None:
    x, _, label = rows(3)
    told = Linear.fit(x, label, [0])
    wild = np.array([[1e30, 1e30, -1e30, 5], [np.nan] * 4, [-1e30, -1, np.inf, -np.inf]], np.float32)
    raw = told.raw(wild)
    assert np.isfinite(raw).all()
    assert (np.abs(raw) <= np.abs(told.intercept) + 6 * np.abs(told.weight).sum()).all()


def test_json_gives_the_same_numbers_to_the_bit() -> None:
    x, _, label = rows(4)
    told = Linear.fit(x, label, [0])
    again = Linear.from_json(json.loads(json.dumps(told.as_json(), allow_nan=False)))
    assert (again.raw(x) == told.raw(x)).all()
    assert again.as_json() == told.as_json()


@pytest.fixture(scope="module")
def both(trained: County, tmp_path_factory: pytest.TempPathFactory) -> tuple[RiskModel, RiskModel, pa.Table, Catalogue]:
    """A model with a regression beside the trees, the same without, and the histories of an as-of."""
    origin, catalogue = AsOf.parse("2023-06"), trained.catalogue
    plain = trained.definition("new_poverty").model_copy(update={"negatives": 2000, "repeats": 2})
    beside = plain.model_copy(update={"linear": Beside(share=0.4)})
    whole = trained.histories(*trained.as_ofs())
    lessons = with_features(sampled(plain, whole, catalogue, origins=[origin]), whole)
    model, without = (fit(d, lessons, catalogue, origin=origin) for d in (beside, plain))
    return model, without, trained.at("2023-06"), catalogue


def test_a_model_s_reasons_sum_to_its_log_odds(both: tuple[RiskModel, RiskModel, pa.Table, Catalogue]) -> None:
    model, _, histories, catalogue = both
    x = matrix(histories.slice(0, 300), model.features, catalogue)
    for horizon in model.horizons:
        told = contributions(model, x, horizon, catalogue)
        assert np.abs(told.grouped.sum(axis=1) + told.base - model.raw(x, horizon)).max() < 1e-6


def test_the_log_odds_are_the_share_of_each(both: tuple[RiskModel, RiskModel, pa.Table, Catalogue]) -> None:
    model, without, histories, catalogue = both
    x = matrix(histories.slice(0, 300), model.features, catalogue)
    assert len(model.linear[6]) == len(model.boosters)
    beside = np.mean([n.raw(x) for n in model.linear[6]], axis=0)
    expected = 0.6 * (without.raw(x, 6) - without.offset) + 0.4 * beside + model.offset
    assert np.allclose(model.raw(x, 6), expected, atol=1e-9)
    columns = model.probabilities(x)
    for j, horizon in enumerate(model.horizons):
        assert (columns[:, j] == model.probability(x, horizon)).all()
    assert replace(model, share=0.3).fingerprint != model.fingerprint != without.fingerprint


def test_what_is_saved_scores_the_same(
    both: tuple[RiskModel, RiskModel, pa.Table, Catalogue], tmp_path_factory: pytest.TempPathFactory
) -> None:
    model, without, histories, catalogue = both
    x = matrix(histories.slice(0, 300), model.features, catalogue)
    for i, each in enumerate((model, without)):
        folder = tmp_path_factory.mktemp("saved") / str(i)
        each.save(folder)
        again = RiskModel.load(folder)
        assert again.fingerprint == each.fingerprint
        assert (again.probabilities(x) == each.probabilities(x)).all()


def test_a_bend_in_what_is_no_feature_is_refused(trained: County, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = (trained.workspace.definitions / "new_poverty.yaml").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("models") / "new_poverty.yaml"
    path.write_text(text + "linear:\n  share: 0.3\n  bent: [incomes]\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"linear\.bent: `incomes` is no feature of the model"):
        load_definition(path, trained.catalogue)
