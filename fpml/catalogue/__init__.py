"""policy/*.yaml -> frozen, validated types with a fingerprint."""

from fpml.catalogue.load import load
from fpml.catalogue.model import HEADS, LINE, Catalogue, Wording, heads_feature, references
from fpml.catalogue.types import (
    EVER,
    Condition,
    County,
    Coverage,
    DatedValue,
    Department,
    Derived,
    Feature,
    FeatureSet,
    Indicator,
    Language,
    MonitoringLine,
    OutcomeDefinition,
    Rule,
    Window,
    Words,
)

__all__ = [
    "EVER", "HEADS", "LINE", "Catalogue", "Condition", "County", "Coverage", "DatedValue", "Department",
    "Derived", "Feature", "FeatureSet", "Indicator", "Language", "MonitoringLine", "OutcomeDefinition", "Rule",
    "Window", "Wording", "Words", "heads_feature", "load", "references",
]  # fmt: skip
