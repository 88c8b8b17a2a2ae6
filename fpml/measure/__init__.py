"""How good it is, said honestly: forward in time, beside the alternatives, with intervals that draw whole villages."""

from fpml.measure.backtest import Occasion, backtest, rules_beside, summary
from fpml.measure.leakage import Verdict
from fpml.measure.metrics import (
    Interval,
    auc,
    average_precision,
    brier,
    calibration_table,
    draws,
    expected_over_observed,
    found,
    interval,
    precision,
    visited,
)

__all__ = [
    "Interval", "Occasion", "Verdict", "auc", "average_precision", "backtest", "brier", "calibration_table", "draws",
    "expected_over_observed", "found", "interval", "precision", "rules_beside", "summary", "visited",
]  # fmt: skip
