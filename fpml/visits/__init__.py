"""Visits come back: filled-in workbooks -> what each visit found, or why a row is sent back."""

from fpml.visits.confirmed import confirmed_reasons
from fpml.visits.procedure import overdue, procedure, write_overdue
from fpml.visits.receipts import VisitReceipt
from fpml.visits.store import VisitStore
from fpml.visits.take import Taker
from fpml.visits.visit import Visit

__all__ = ["Taker", "Visit", "VisitReceipt", "VisitStore", "confirmed_reasons", "overdue", "procedure", "write_overdue"]
