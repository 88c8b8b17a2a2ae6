"""How good it is, said honestly: forward in time, beside the alternatives, with intervals that draw whole villages."""

from fpml.measure.backtest import Occasion, backtest, rules_beside, summary
from fpml.measure.lead import Draws, Outcome, judged, judged_at
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
from fpml.measure.panel import Events, Panel, needed
from fpml.measure.visits import PEACE, Ground, Method, Queue

__all__ = [
    "PEACE", "Draws", "Events", "Ground", "Interval", "Method", "Occasion", "Outcome", "Panel", "Queue", "Verdict",
    "auc", "average_precision", "backtest", "brier", "calibration_table", "draws", "expected_over_observed", "found",
    "interval", "judged", "judged_at", "needed", "precision", "rules_beside", "summary", "visited",
]  # fmt: skip
