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
from fpml.catalogue.load import load, read_proposals
from fpml.catalogue.model import HEADS, LINE, Catalogue, Wording, heads_feature, references
from fpml.catalogue.reviewing import (
    Allocation,
    Colouring,
    Grouping,
    Proposal,
    Reviewing,
    proposal_faults,
    rules_as_proposed,
)
from fpml.catalogue.thresholds import by_region
from fpml.catalogue.types import (
    CHANNELS,
    DEPARTMENT,
    EVER,
    OTHERS,
    Channel,
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
    Group,
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
    "CHANNELS", "DEPARTMENT", "EVER", "HEADS", "LINE", "OF_HOUSEHOLD", "OF_PERSON", "OTHERS", "SPARE", "WITHDRAWN",
    "Allocation", "Catalogue", "Channel", "Check", "Colouring", "Column", "Condition", "Conditions", "County",
    "Coverage", "DatedValue", "Deadline", "DeliveryName", "Department", "Derived", "Every", "Feature", "FeatureSet",
    "Group", "Grouping",
    "Indicator", "Item", "Language", "Layout", "MonitoringLine", "OutcomeDefinition", "Proposal", "Reviewing", "Rule",
    "Severity", "Steps", "Table", "Window", "Wording", "Words", "by_region", "heads_feature", "layouts", "load",
    "plain_header", "proposal_faults", "read_proposals", "references", "rules_as_proposed",
]  # fmt: skip
