"""Histories: what was known of each watched household at each as-of, as features."""

from fpml.features.build import KEY, as_of_months, matrix, natural, shard_histories, with_context
from fpml.features.reach import Reach
from fpml.features.records import Records, from_ledger

__all__ = [
    "KEY",
    "Reach",
    "Records",
    "as_of_months",
    "from_ledger",
    "matrix",
    "natural",
    "shard_histories",
    "with_context",
]
