"""How good it is, said honestly: forward in time, beside the alternatives, with intervals that draw whole villages."""

from fpml.measure.backtest import Said, backtest
from fpml.measure.bound import Bound, Curve, Falls, Kept, NoBound, Watch, curve, kept, watched
from fpml.measure.calibration import (
    Calibration,
    Decomposition,
    Forecast,
    calibrated,
    cell_edges,
    decomposition,
    difference,
    incoherent,
)
from fpml.measure.disguise import Disguise, disguised
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
from fpml.measure.shift import Seen, Shift, shifted
from fpml.measure.skill import Judged
from fpml.measure.visits import PEACE, Ground, Method, Queue

__all__ = [
    "PEACE",
    "Bound",
    "Calibration",
    "Curve",
    "Decomposition",
    "Disguise",
    "Draws",
    "Events",
    "Falls",
    "Forecast",
    "Ground",
    "Interval",
    "Judged",
    "Kept",
    "Method",
    "NoBound",
    "Outcome",
    "Panel",
    "Queue",
    "Said",
    "Seen",
    "Shift",
    "Verdict",
    "Watch",
    "auc",
    "average_precision",
    "backtest",
    "brier",
    "calibrated",
    "calibration_table",
    "cell_edges",
    "curve",
    "decomposition",
    "difference",
    "disguised",
    "draws",
    "expected_over_observed",
    "found",
    "incoherent",
    "interval",
    "judged",
    "judged_at",
    "kept",
    "needed",
    "precision",
    "shifted",
    "visited",
    "watched",
]  # fmt: skip
