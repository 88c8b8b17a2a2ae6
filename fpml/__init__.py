"""Early warning for households about to fall into poverty: a ranked list with reasons, beside the rules in force."""

from fpml.county import County
from fpml.county import open_county as open
from fpml.dates import AsOf
from fpml.errors import FpmlError
from fpml.ledger import Ledger
from fpml.month import run as run_month
from fpml.workspace import init

__all__ = ["AsOf", "County", "FpmlError", "Ledger", "init", "open", "run_month"]
