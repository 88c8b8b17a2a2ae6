"""models/*.yaml: what a model predicts, what it learns from, and its parameters."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fpml.catalogue import Catalogue
from fpml.catalogue.files import parse
from fpml.catalogue.types import Policy
from fpml.errors import Fault, PolicyError, did_you_mean


class Trees(Policy):
    """LightGBM's parameters that are chosen by experiment; the rest are fixed for determinism."""

    learning_rate: float = Field(gt=0, le=1)
    num_leaves: int = Field(ge=2, le=512)
    min_data_in_leaf: int = Field(ge=1)
    feature_fraction: float = Field(gt=0, le=1)
    bagging_fraction: float = Field(gt=0, le=1)
    lambda_l2: float = Field(ge=0)
    rounds: int = Field(ge=1, le=20_000)
    patience: int = Field(ge=1)


class Beside(Policy):
    """A logistic regression beside the trees: its share of the log-odds, and the features that it may bend.

    See `fpml.risk.linear`.
    """

    share: float = Field(gt=0, lt=1)
    bent: tuple[str, ...] = ()


class ModelDefinition(Policy):
    """One model: an outcome, the horizons it learns from (stacked, months), and its trees.

    `learn_rows: known` learns from every household whose state was known, those already below the line included, with
    that state as a feature; `any_risk` from all who are at risk of any outcome that ends in the same fall, so that
    models of several such outcomes have the same trees while their definitions differ in nothing else. Scores are only
    ever of those at risk, and so is calibration where enough of them fell. `negatives`: of so many household-months
    without a fall it learns, chosen by chance (see `fpml.risk.learning`); of all where it is left out.
    `delay`: by about how many months the register follows falls (0: they are seen as they come). Many who enter it
    sooner had fallen before the as-of, which no record tells; so a horizon that is shorter is calibrated by the last of
    so many months: of those who have not entered before these, by who enters in them (docs/experiments.md). That takes
    an as-of each month; without, and where nobody entered in them, each horizon is calibrated by itself.
    `audited`: a fall that the register tells of is weighted by one over the chance that such falls are seen, as audits
    tell (see `fpml.risk.seen`); where none has told, all are alike.
    `repeats`: how often households are dealt into folds, each time anew; scores are the mean of all folds' trees.
    """

    outcome: str
    learn_horizons: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(min_length=1)
    learn_rows: Literal["known", "at_risk", "any_risk"] = "at_risk"
    delay: int = Field(default=0, ge=0, le=60)
    audited: bool = False
    leave_out: tuple[str, ...] = ()
    negatives: int | None = Field(default=None, ge=1000)
    folds: int = Field(default=5, ge=2, le=20)
    repeats: int = Field(default=1, ge=1, le=20)
    seed: int = Field(ge=0)
    trees: Trees
    linear: Beside | None = None

    @property
    def way(self) -> str:
        """All but the outcome, as text: models that learn from the same rows in one way have the same trees."""
        return self.model_dump_json(exclude={"outcome"})

    def features(self, catalogue: Catalogue) -> tuple[str, ...]:
        """The features that the model reads, in the catalogue's order."""
        return tuple(
            n for n in catalogue.model_features() if not any(fnmatch(n, pattern) for pattern in self.leave_out)
        )


def load_definition(path: Path, catalogue: Catalogue) -> ModelDefinition:
    """A model's definition; raises PolicyError where it does not fit itself or the catalogue."""
    definition: ModelDefinition = parse(path, ModelDefinition)
    outcomes = catalogue.county.outcomes
    where = f"models/{path.name} @ "
    if definition.outcome not in outcomes:
        remedy = did_you_mean(definition.outcome, outcomes)
        raise PolicyError([Fault(where + "outcome", f"unknown outcome `{definition.outcome}`", remedy)])
    missing = set(outcomes[definition.outcome].horizons) - set(definition.learn_horizons)
    if missing:
        fault = Fault(where + "learn_horizons", f"horizon {min(missing)} is scored and not learnt", "Add it.")
        raise PolicyError([fault])
    if definition.delay > max(definition.learn_horizons):
        problem = f"a delay of {definition.delay} months, and horizons of up to {max(definition.learn_horizons)}"
        raise PolicyError([Fault(where + "delay", problem, "Write a shorter one, or 0.")])
    for name in definition.linear.bent if definition.linear else ():
        if name not in definition.features(catalogue):
            remedy = did_you_mean(name, definition.features(catalogue))
            raise PolicyError([Fault(where + "linear.bent", f"`{name}` is no feature of the model", remedy)])
    if definition.linear and definition.audited:
        problem = "the regression beside the trees does not weight falls"
        raise PolicyError([Fault(where + "audited", problem, "Leave one of the two out.")])
    if not definition.features(catalogue):
        raise PolicyError([Fault(where + "leave_out", "no feature is left", "Leave fewer out.")])
    return definition
