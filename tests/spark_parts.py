"""What executors are given to do in tests/e2e/test_spark.py; they import it."""

from fpml.errors import LedgerError


def failing(part: int) -> int:
    """Gives the part; 1 and 2 go wrong, each in its way."""
    if part == 1:
        raise ValueError("the Wang family")
    if part == 2:
        raise LedgerError("ledger", "gone", "Restore it.")
    return part
