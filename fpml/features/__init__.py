"""Histories: what was known of each watched household at each as-of, as features."""

from fpml.features.behind import Behind, records_behind
from fpml.features.build import KEY, Asked, Over, Run, as_of_months, histories, in_one, matrix, natural, one_by_one
from fpml.features.late import read_later, told_later
from fpml.features.reach import Reach
from fpml.features.records import COLUMNS, Records, from_ledger

__all__ = [
    "COLUMNS",
    "KEY",
    "Asked",
    "Behind",
    "Over",
    "Reach",
    "Records",
    "Run",
    "as_of_months",
    "from_ledger",
    "histories",
    "in_one",
    "matrix",
    "natural",
    "one_by_one",
    "read_later",
    "records_behind",
    "told_later",
]
