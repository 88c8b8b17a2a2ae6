"""Deliveries -> clean records in the ledger, or rows in quarantine with the reason. Nothing is lost on the way."""

from fpml.intake.read import fingerprint
from fpml.intake.reasons import REASONS, Reason
from fpml.intake.receipts import Receipt, place_of
from fpml.intake.shelf import Shelf
from fpml.intake.take import TRIES, Intake

__all__ = ["REASONS", "TRIES", "Intake", "Reason", "Receipt", "Shelf", "fingerprint", "place_of"]
