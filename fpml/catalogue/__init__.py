"""policy/*.yaml -> frozen, validated types with a fingerprint."""

from fpml.catalogue.deliveries import (
    OF_HOUSEHOLD,
    OF_PERSON,
    SPARE,
    WITHDRAWN,
    Column,
    DeliveryName,
    Department,
    Item,
    Layout,
    layouts,
    plain_header,
)
from fpml.catalogue.load import load
from fpml.catalogue.model import HEADS, LINE, Catalogue, Wording, heads_feature, references
from fpml.catalogue.thresholds import by_region
from fpml.catalogue.types import (
    EVER,
    OTHERS,
    Check,
    Condition,
    Conditions,
    County,
    Coverage,
    DatedValue,
    Deadline,
    Derived,
    Every,
    Feature,
    FeatureSet,
    Indicator,
    Language,
    MonitoringLine,
    OutcomeDefinition,
    Rule,
    Severity,
    Steps,
    Table,
    Window,
    Words,
)

__all__ = [
    "EVER", "HEADS", "LINE", "OF_HOUSEHOLD", "OF_PERSON", "OTHERS", "SPARE", "WITHDRAWN", "Catalogue", "Check",
    "Column", "Condition", "Conditions", "County", "Coverage", "DatedValue", "Deadline", "DeliveryName", "Department",
    "Derived", "Every", "Feature", "FeatureSet", "Indicator", "Item", "Language", "Layout", "MonitoringLine",
    "OutcomeDefinition", "Rule", "Severity", "Steps", "Table", "Window", "Wording", "Words", "by_region",
    "heads_feature", "layouts", "load", "plain_header", "references",
]  # fmt: skip
