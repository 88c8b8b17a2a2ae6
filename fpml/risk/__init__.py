"""Probabilities of a fall, and what they are made of."""

from fpml.risk.calibrate import Calibration, fit_calibration, rearranged
from fpml.risk.definition import ModelDefinition, load_definition
from fpml.risk.explain import Contributions, contributions
from fpml.risk.learning import LearningRows, Once, Sample, sampled, with_features
from fpml.risk.model import Learnt, RiskModel, fit
from fpml.risk.seen import MONTHS_LISTED, Finds, Seen
from fpml.risk.shown import LEAST_FALLEN
from fpml.risk.tuning import Ahead, Budget, Trial, Tuned, tune, write_trees

__all__ = [
    "LEAST_FALLEN", "MONTHS_LISTED", "Ahead", "Budget", "Calibration", "Contributions", "Finds", "LearningRows",
    "Learnt", "ModelDefinition", "Once", "RiskModel", "Sample", "Seen", "Trial", "Tuned", "contributions", "fit",
    "fit_calibration", "load_definition", "rearranged", "sampled", "tune", "with_features", "write_trees",
]  # fmt: skip
