"""Tuning: parameters tried forward in time, inside what had matured; resumable, within its budget, no person told."""

import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from scipy.special import expit

import fpml
from fpml import cli
from fpml.catalogue import Catalogue, Condition, OutcomeDefinition, Words
from fpml.county import County
from fpml.dates import AsOf
from fpml.errors import InputError, NotYetError, UsageError
from fpml.risk import (
    Ahead,
    Budget,
    LearningRows,
    ModelDefinition,
    Tuned,
    sampled,
    tune,
    tuning,
    with_features,
    write_trees,
)
from fpml.risk.definition import Trees
from fpml.risk.tuning import Trial

pytest.importorskip("optuna")
HOUSEHOLDS, END = 1500, AsOf.parse("2023-09")
MONTHS = tuple(AsOf.parse("2023-01").shift(i) for i in range(12))
FEATURE = "members__last__ever"
# No leaf of so many rows can be parted: these trees rank nobody.
BLUNT = Trees(
    learning_rate=0.1, num_leaves=7, min_data_in_leaf=100_000, feature_fraction=1, bagging_fraction=1, lambda_l2=1,
    rounds=20, patience=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def policy(catalogue: Catalogue) -> Catalogue:
    """One outcome, a month ahead."""
    outcome = OutcomeDefinition(
        name=Words(en="fall"),
        at_risk=(Condition(feature="income", at_least=1),),  # type: ignore[arg-type]
        fall=Condition(feature="income", below=1),  # type: ignore[arg-type]
        horizons=(1,),
    )
    return replace(
        catalogue, county=catalogue.county.model_copy(update={"outcomes": {"fall": outcome}, "ranked_by": None})
    )


@pytest.fixture(scope="module")
def definition(policy: Catalogue) -> ModelDefinition:
    others = tuple(n for n in policy.model_features() if n != FEATURE)
    return ModelDefinition(outcome="fall", learn_horizons=(1,), folds=2, seed=1, trees=BLUNT, leave_out=others)


@pytest.fixture(scope="module")
def histories() -> pa.Table:
    """A year in which large families fall more often, for a month."""
    rng = np.random.default_rng(3)
    members = rng.integers(0, 10, HOUSEHOLDS)
    parts = []
    for month in MONTHS:
        fell = rng.random(HOUSEHOLDS) < expit(-5 + 0.4 * members)
        named = {"household_id": [f"secret{i:05}" for i in range(HOUSEHOLDS)], FEATURE: members}
        days = pa.array([month.date] * HOUSEHOLDS, pa.date32())
        parts.append(pa.table({**named, "as_of": days, "income": np.where(fell, 0.5, 2.0)}))
    return pa.concat_tables(parts)


Tuning = Callable[..., Tuned]


@pytest.fixture
def tuned(policy: Catalogue, definition: ModelDefinition, histories: pa.Table, tmp_path: Path) -> Tuning:
    """Tunes in a folder of its own: `tuned(trials=...)`."""

    def go(*, budget: Budget, known: str = "one", name: str = "fall", table: pa.Table = histories) -> Tuned:
        ahead = Ahead.of(definition, policy, MONTHS[:9], end=END, origins=2)

        def learning() -> LearningRows:
            return with_features(sampled(definition, table, policy, origins=[*ahead.origins, END]), table)

        return tune(definition, learning, policy, ahead, study=tmp_path / f"{name}.sqlite", known=known, budget=budget)

    return go


def without_seconds(told: Tuned) -> list[Trial]:
    return [replace(t, seconds=0) for t in told.trials]


def test_a_better_parameter_is_found(tuned: Tuning) -> None:
    told = tuned(budget=Budget(trials=4))
    assert told.trials[0].trees == BLUNT
    assert told.best.average_precision > 1.5 * told.trials[0].average_precision
    assert told.best.log_loss < told.trials[0].log_loss
    assert told.best.trees.min_data_in_leaf <= 500


def test_the_search_closes_in_on_a_planted_optimum(tuned: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(_d: ModelDefinition, trees: Trees, *_: object) -> Trial:
        miss = abs(math.log(trees.learning_rate / 0.07)) + abs(math.log(trees.num_leaves / 24))
        return Trial(trees, 1 - miss, 0.5, 0.1)

    monkeypatch.setattr(tuning, "_tried", planted)
    told = tuned(budget=Budget(trials=60))
    by_chance = max(t.average_precision for t in told.trials[1:11])
    assert told.best.average_precision > max(0.75, by_chance)


def test_of_a_tie_the_lower_log_loss_is_best() -> None:
    ahead = Ahead(END, ((MONTHS[0],),))
    trials = (Trial(BLUNT, 0.30004, 0.2, 1), Trial(BLUNT, 0.30001, 0.1, 1), Trial(BLUNT, 0.2, 0.01, 1))
    assert Tuned("fall", ahead, trials, 3).best is trials[1]


def test_a_run_stopped_anywhere_goes_on_as_if_it_had_not_been(tuned: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tuned(budget=Budget(trials=5), name="whole")
    true, made = tuning._tried, 0

    def killed(*a: object) -> Trial:
        nonlocal made
        made += 1
        if made == 3:
            true(*a)  # type: ignore[arg-type]
            raise KeyboardInterrupt
        return true(*a)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning, "_tried", killed)
    with pytest.raises(KeyboardInterrupt):
        tuned(budget=Budget(trials=5), name="stopped")
    after = tuned(budget=Budget(trials=5), name="stopped")
    assert after.tried == 3
    assert without_seconds(after) == without_seconds(whole)


def test_a_spent_budget_of_trials_tries_nothing_more(tuned: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tuned(budget=Budget(trials=2))

    def nothing(*_: object) -> None:
        raise AssertionError("a trial was made")

    monkeypatch.setattr(tuning, "_tried", nothing)
    again = tuned(budget=Budget(trials=2))
    assert (again.tried, again.trials) == (0, first.trials)


def test_no_trial_is_begun_that_would_end_after_the_minutes(tuned: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def minute(_d: ModelDefinition, trees: Trees, *_: object) -> Trial:
        nonlocal now
        now += 60
        return Trial(trees, 0.5, 0.5, 60)

    monkeypatch.setattr(tuning.time, "monotonic", lambda: now)
    monkeypatch.setattr(tuning, "_tried", minute)
    assert tuned(budget=Budget(minutes=3.5)).tried == 3
    assert tuned(budget=Budget(minutes=2.0)).tried == 2
    assert len(tuned(budget=Budget(minutes=0.1)).trials) == 6


@pytest.mark.parametrize("spent", [{}, {"minutes": 0.0}, {"trials": -1}, {"minutes": math.nan}])
def test_a_budget_that_is_none_is_refused(spent: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="Give minutes or a number of trials"):
        Budget(**spent)  # type: ignore[arg-type]


def test_nothing_that_was_learnt_later_has_a_say(
    tuned: Tuning, histories: pa.Table, definition: ModelDefinition, policy: Catalogue
) -> None:
    early = tuned(budget=Budget(trials=2), name="early")
    later = np.array([d > END.date for d in histories["as_of"].to_pylist()])
    income = np.where(later, 0.5, histories["income"].to_numpy())
    changed = histories.set_column(histories.column_names.index("income"), "income", pa.array(income))
    assert without_seconds(tuned(budget=Budget(trials=2), name="late", table=changed)) == without_seconds(early)
    for run in early.ahead.runs:
        assert all(a.month + 1 <= END.month for a in run)
    on_time = Ahead.of(definition, policy, MONTHS, end=END, origins=2)
    assert on_time == early.ahead


def test_runs_of_as_ofs_follow_each_other(definition: ModelDefinition, policy: Catalogue) -> None:
    ahead = Ahead.of(definition, policy, MONTHS, end=END, origins=3)
    assert [a for run in ahead.runs for a in run] == list(MONTHS[4:8])
    assert ahead.origins == tuple(run[0] for run in ahead.runs)
    with pytest.raises(NotYetError, match=r"4 as-ofs .* Ask for fewer origins than 5"):
        Ahead.of(definition, policy, MONTHS, end=END, origins=5)


def test_trials_on_other_records_are_not_compared(tuned: Tuning) -> None:
    tuned(budget=Budget(trials=2), known="one")
    assert tuned(budget=Budget(trials=1), known="another").tried == 1
    assert tuned(budget=Budget(trials=1), known="one").tried == 0


def test_a_study_holds_no_household(tuned: Tuning, tmp_path: Path) -> None:
    tuned(budget=Budget(trials=2))
    assert b"secret" not in (tmp_path / "fall.sqlite").read_bytes()


def test_without_optuna_the_remedy_is_told(tuned: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"optuna is not installed.*fpml\[tune\]"):
        tuned(budget=Budget(trials=1))


TEXT = "# Why.\noutcome: fall  # of all\nlearn_horizons: [1]\ntrees:\n  rounds: 5\n  # of it\n  patience: 1\nseed: 1\n"


def result() -> Tuned:
    return Tuned("fall", Ahead(END, ((MONTHS[0],),)), (Trial(BLUNT, 0.3, 0.2, 1),), 1)


def test_only_the_trees_of_a_file_are_replaced_and_again_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "fall.yaml"
    path.write_text(TEXT, encoding="utf-8")
    write_trees(path, result())
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Why.\noutcome: fall  # of all\n")
    assert yaml.safe_load(text) == {"outcome": "fall", "learn_horizons": [1], "trees": BLUNT.model_dump(), "seed": 1}
    assert "labels known by 2023-09" in text
    write_trees(path, result())
    assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["fall.yaml"]


@pytest.mark.parametrize(
    "text", ["outcome: fall\n", "trees: {rounds: 5}\n", "trees:\n  rounds: 5\ntrees:\n  rounds: 6\n"]
)
def test_a_file_that_cannot_be_changed_so_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fall.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"models/fall\.yaml"):
        write_trees(path, result())
    assert path.read_text(encoding="utf-8") == text


def test_the_command_tunes_writes_and_the_model_still_trains(
    trained: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(trained.workspace.root, tmp_path / "county"))
    asked = ["tune", "new_poverty", "--workspace", str(root), "--as-of", "2023-06", "--origins", "1", "--quiet"]
    assert cli.main([*asked, "--trials", "2", "--write", "--json"]) == 0
    told = yaml.safe_load(capsys.readouterr().out)
    assert (told["trials"], told["tried_now"], told["labels_known_by"]) == (2, 2, "2023-06")
    assert fpml.open(root).definition("new_poverty").trees.model_dump() == told["trees"]
    assert told["average_precision"]["best"] >= round(told["average_precision"]["as_they_are"], 4)
    assert cli.main([*asked]) == 2
    assert "Give minutes or a number of trials" in capsys.readouterr().err
