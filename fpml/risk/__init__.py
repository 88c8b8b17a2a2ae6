"""Probabilities of a fall, and what they are made of."""

from fpml.risk.calibrate import Calibration, fit_calibration
from fpml.risk.definition import ModelDefinition, load_definition
from fpml.risk.explain import Contributions, contributions
from fpml.risk.model import Learnt, RiskModel, fit

__all__ = [
    "Calibration", "Contributions", "Learnt", "ModelDefinition", "RiskModel", "contributions", "fit", "fit_calibration",
    "load_definition",
]  # fmt: skip
