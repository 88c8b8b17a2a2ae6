"""What the simulated county's departments deliver: canonical records, tidy files, or files as they really come."""

from fpml.simulate.files.damage import SCHEMA
from fpml.simulate.files.mess import Mess
from fpml.simulate.files.month import Month, Sending, Style, write_month
from fpml.simulate.files.records import pseudonym

__all__ = ["SCHEMA", "Mess", "Month", "Sending", "Style", "pseudonym", "write_month"]
