"""A delivery file -> a table of its rows, still as delivered; a file that cannot be read whole is refused whole."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from fpml.errors import DeliveryError, did_you_mean

REQUIRED = ("household_id", "indicator", "event_date", "known_date", "value")
OPTIONAL = ("person_id", "record_id")
COLUMNS = (*REQUIRED, *OPTIONAL)


def fingerprint(path: Path) -> str:
    """Sixteen hex digits of the file's SHA-256; raises DeliveryError where there is no such file."""
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()[:16]
    except FileNotFoundError:
        raise DeliveryError(path.name, "no such file", "Check the name and the folder.") from None
    except OSError as e:
        raise DeliveryError(path.name, f"cannot be opened ({e.strerror})", "Check that you may read it.") from None


def read(path: Path) -> pa.Table:
    """The delivery's rows: every column of COLUMNS, and `row`, its number in the file (the first below the header is 1).

    CSV (UTF-8, comma; every cell as text) or Parquet. Rows of a CSV with too few or too many cells come with `torn` true.
    """
    if path.suffix.lower() == ".parquet":
        table, torn = _parquet(path), []
    elif path.suffix.lower() == ".csv":
        table, torn = _csv(path)
    else:
        raise DeliveryError(path.name, f"a {path.suffix or 'nameless'} file", "Deliver .csv or .parquet.")
    _check_columns(path, table.column_names)
    for name in OPTIONAL:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    table = table.select(COLUMNS)
    lost = set(torn)
    numbers = (
        [n for n in range(1, table.num_rows + len(lost) + 1) if n not in lost] if lost else range(1, table.num_rows + 1)
    )
    table = table.append_column("row", pa.array(numbers, pa.int64()))
    table = table.append_column("torn", pa.array([False] * table.num_rows, pa.bool_()))
    if lost:
        holes = pa.table({"row": pa.array(sorted(lost), pa.int64()), "torn": pa.array([True] * len(lost), pa.bool_())})
        table = pa.concat_tables([table, holes], promote_options="default")
    if not table.num_rows:
        raise DeliveryError(path.name, "no rows", "Deliver it again, or leave it out if there was nothing to report.")
    return table


def _parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as e:
        raise DeliveryError(
            path.name, f"not a whole Parquet file ({type(e).__name__})", "It may have been cut off: deliver it again."
        ) from None


def _csv(path: Path) -> tuple[pa.Table, list[int]]:
    torn: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        torn.append(row.number - 1)
        return "skip"

    try:
        header = path.open(encoding="utf-8-sig").readline()
        names = [c.strip().strip('"') for c in header.rstrip("\r\n").split(",")]
        _check_columns(path, names)
        table = pyarrow.csv.read_csv(
            path,
            # One thread, so that torn rows are told by their number.
            read_options=pyarrow.csv.ReadOptions(use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={n: pa.string() for n in COLUMNS},
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
    except UnicodeDecodeError as e:
        raise DeliveryError(path.name, f"not UTF-8 (byte {e.start})", "Save it as UTF-8.") from None
    except (OSError, pa.ArrowException) as e:
        raise DeliveryError(
            path.name, f"not a readable CSV file ({type(e).__name__})", "Save it as UTF-8, comma-separated."
        ) from None
    return table, torn


def _check_columns(path: Path, names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DeliveryError(path.name, f"column `{twice[0]}` stands twice", "Keep one of the two.")
    missing = [n for n in REQUIRED if n not in names]
    unknown = [n for n in names if n not in COLUMNS]
    if missing:
        near = did_you_mean(missing[0], unknown) if unknown else ""
        remedy = f"Rename it back. {near}" if near.startswith("Did") else "Deliver it with " + ", ".join(REQUIRED) + "."
        raise DeliveryError(
            path.name,
            f"no column `{'`, `'.join(missing)}`",
            remedy.replace("Rename it back. Did you mean", "Was it renamed to").strip(),
        )
    if unknown:
        raise DeliveryError(path.name, f"unknown column `{unknown[0]}`", did_you_mean(unknown[0], COLUMNS))


def text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text, without blanks around it, null where nothing is left."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    words = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(words, ""), None, words)
