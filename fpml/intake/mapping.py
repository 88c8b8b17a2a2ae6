"""A table as it came -> which of its columns is what. Drift within the known headers is told, beyond them refused."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fpml.catalogue import OF_HOUSEHOLD, OF_PERSON, SPARE, Catalogue, Column, Layout, layouts, plain_header
from fpml.errors import DeliveryError
from fpml.intake.sources import Source
from fpml.intake.tables import RawTable

# So many columns of a layout must be met in a row for it to be taken for a header at all.
FEW = 3
# A month in a title: no day (a date of printing), and no span of months.
_TITLE_MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)\s*[-年]\s*(\d{1,2})(?!\d)\s*月?+(?!\s*[-./—至到~\d])", re.ASCII)


@dataclass(frozen=True)
class Mapped:
    """A table whose columns are known: `at` their positions and `factor` their units, by the layout's own headers.

    `header` is the position of the header's row. `drift`: headers as they came, where they are not the layout's own,
    and those meant. `ignored`: the numbers, from 1, of columns that the layout does not have.
    """

    table: RawTable
    layout: Layout
    header: int
    at: dict[str, int]
    factor: dict[str, int]
    drift: tuple[tuple[str, str], ...]
    ignored: tuple[int, ...]

    @property
    def keyed(self) -> frozenset[int]:
        """The positions of the columns that say who and when: what is merged there over rows is meant for all."""
        said = self.layout.of_role(*OF_PERSON, *OF_HOUSEHOLD, "date")
        return frozenset(self.at[c.header] for c in said if self.has(c))

    @property
    def spare(self) -> int:
        """How many of the last columns are such as a file may come without."""
        needed = [self.at[c.header] for c in self.layout.columns if c.role not in SPARE and self.has(c)]
        return len(self.table.top[self.header]) - 1 - max(needed)

    def has(self, column: Column) -> bool:
        """Whether the table has the column."""
        return column.header in self.at

    def delivered(self, column: Column) -> str:
        """The column's header as it came."""
        return self.table.top[self.header][self.at[column.header]]


def mapped(table: RawTable, source: Source, catalogue: Catalogue) -> Mapped:
    """The table with its columns known; raises DeliveryError where they are not those of what its name says.

    A sheet is of the item that its name says, or else of the one that its columns say.
    """
    named = [a for a in source.layouts if table.sheet and table.sheet.strip() in (a.name.zh, a.name.en)]
    candidates = named or source.layouts
    found = [m for a in candidates if (m := _matched(table, a)) is not None]
    whole = [m for m in found if not _missing(m)]
    if len(whole) == 1:
        _check_title(whole[0], source)
        return whole[0]
    where = f"{source.file}, sheet {_shown(table.sheet)}" if table.sheet else source.file
    if whole:
        raise DeliveryError(where, "its columns are those of several kinds", "Name the sheet by its kind.")
    _refuse_another(table, source, catalogue, where)
    if not found:
        raise DeliveryError(where, "no header row that names its columns", "Write the headers above the rows.")
    _refuse_missing(max(found, key=lambda m: len(m.at)), where)
    raise AssertionError  # refused above


def _matched(table: RawTable, layout: Layout) -> Mapped | None:
    """The row of the table's top that names most of the layout's columns; None where none names a few."""
    known = {h: (c, factor) for c in layout.columns for h, factor in c.headers().items()}
    fits = [sum(plain_header(cell) in known for cell in row) for row in table.top]
    most = max(fits, default=0)
    if most < min(FEW, len(layout.columns)):
        return None
    header = fits.index(most)
    row = table.top[header]
    at: dict[str, int] = {}
    factor, drift, ignored = {}, [], []
    for n, cell in enumerate(row):
        column, units = known.get(plain_header(cell), (None, 1))
        if column is None:
            ignored += [n + 1] if plain_header(cell) else []
        elif column.header in at:
            raise DeliveryError(_where(table), f"the column `{column.header}` stands twice", "Keep one of the two.")
        else:
            at[column.header], factor[column.header] = n, units
            if plain_header(cell).partition("(")[0] != plain_header(column.header):
                drift.append((cell.strip(), column.header))
    return Mapped(table, layout, header, at, factor, tuple(drift), tuple(ignored))


def _where(table: RawTable) -> str:
    return f"sheet {_shown(table.sheet)}" if table.sheet else "the file"


def _shown(sheet: str | None) -> str:
    """A sheet's name, if it is short and plain; else nothing of it is shown."""
    return (
        f"`{sheet}`" if sheet and len(sheet) <= 31 and sheet.isprintable() and not re.search(r"\d{6}", sheet) else "…"
    )


def _missing(m: Mapped) -> list[Column]:
    return [c for c in m.layout.columns if c.role not in SPARE and not m.has(c)]


def _refuse_another(table: RawTable, source: Source, catalogue: Catalogue, where: str) -> None:
    """Says so where the columns are those of another department, or of another kind of file."""
    for other in layouts(catalogue.departments):
        m = _matched(table, other)
        if m is not None and not _missing(m):
            whose = catalogue.departments[other.department].name.said("zh")
            problem = f"of another department or kind: its columns are those of {whose} {other.name.said('zh')}"
            raise DeliveryError(where, problem, "Mend its name, or deliver the right file.")


def _refuse_missing(m: Mapped, where: str) -> None:
    missing = _missing(m)[0]
    header = missing.header
    near = _nearest((header, *missing.also), [m.table.top[m.header][n - 1] for n in m.ignored])
    remedy = (
        f"Is it `{near}`? Rename it, or add it to `also` in policy/departments.yaml."
        if near
        else f"Add it; known as: {', '.join((header, *missing.also))}."
    )
    raise DeliveryError(where, f"no column `{header}`", remedy)


def _nearest(names: Sequence[str], others: Iterable[str]) -> str | None:
    """Of other headers the one most like one of the names."""
    plain = {plain_header(o): o for o in others}
    for name in names:
        near = get_close_matches(plain_header(name), plain, n=1, cutoff=0.5)
        if near:
            return plain[near[0]]
    return None


def _check_title(m: Mapped, source: Source) -> None:
    """Refuses a table whose title names a month, and another one than its file."""
    title = " ".join(cell for row in m.table.top[: m.header] for cell in row)
    months = {f"{found[1]}-{int(found[2]):02d}" for found in _TITLE_MONTH.finditer(title)}
    if len(months) == 1 and source.month not in months:
        problem = f"of another month: its title says {months.pop()}, its name {source.month}"
        raise DeliveryError(source.file, problem, "Mend its name, or deliver the right file.")
