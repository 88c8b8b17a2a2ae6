"""Tables of thresholds by household type or region, held against the county that has those types and regions."""

from collections.abc import Iterator

from fpml.catalogue.conditions import OTHERS, Condition, Table
from fpml.catalogue.county import County
from fpml.errors import Fault, did_you_mean


def by_region(table: Table) -> bool:
    """Whether a table tells regions apart, and not household types: its keys are codes."""
    return all(key.isdigit() for key in table.root if key != OTHERS)


def table_faults(where: str, condition: Condition, county: County) -> Iterator[Fault]:
    """What is wrong with a condition's table; county.yaml itself can have none, for it says who is of which type."""
    if not isinstance(condition.threshold, Table):
        return
    place = f"{where}.{condition.comparison}"
    if where.startswith("county.yaml"):
        problem = "a table, where household types and regions are themselves decided"
        yield Fault(place, problem, "Write one threshold, or a dated list.")
    else:
        yield from _faults(place, condition.threshold, county, within=False)


def _faults(place: str, table: Table, county: County, *, within: bool) -> Iterator[Fault]:
    keys = [k for k in table.root if k != OTHERS]
    regions = [k for k in keys if k.isdigit()]
    if OTHERS not in table.root:
        yield Fault(place, f"no threshold for `{OTHERS}`", f"Add `{OTHERS}:`.")
    if not keys:
        yield Fault(place, f"a table of nothing but `{OTHERS}`", "Write its threshold alone.")
    if regions and len(regions) < len(keys):
        yield Fault(place, "regions and household types in one table", "Put a table by type within each region.")
    elif regions and not county.line.region:
        yield Fault(place, "a threshold by region, and the county names none", "Set `line.region` in county.yaml.")
    for key in keys:
        if not key.isdigit() and key not in county.cohort:
            remedy = did_you_mean(key, [*county.cohort, OTHERS])
            yield Fault(f"{place}.{key}", f"unknown household type `{key}`", remedy)
    for key, part in table.root.items():
        if isinstance(part, Table):
            if within or not regions:
                yield Fault(f"{place}.{key}", "a table within a table by household type", "Write one threshold there.")
            else:
                yield from _faults(f"{place}.{key}", part, county, within=True)
