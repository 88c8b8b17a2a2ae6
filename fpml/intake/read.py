"""A delivery file -> a table of its rows, still as delivered; a file that cannot be read whole is refused whole."""

import hashlib
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from fpml.errors import DeliveryError, did_you_mean

REQUIRED = ("household_id", "indicator", "event_date", "known_date", "value")
OPTIONAL = ("person_id", "record_id", "until_date")
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
    """The delivery's rows: every column of COLUMNS, and `row`, their number in the file (from 1, below the header).

    CSV (UTF-8, comma; every cell as text) or Parquet. Rows of a CSV with too few or too many cells have `torn` true.
    """
    if path.suffix.lower() == ".parquet":
        table, torn = _parquet(path), list[int]()
    elif path.suffix.lower() == ".csv":
        table, torn = _csv(path)
    else:
        raise DeliveryError(path.name, f"a {path.suffix or 'nameless'} file", "Deliver .csv or .parquet.")
    _check_columns(path, table.column_names)
    _check_types(path, table)
    for name in OPTIONAL:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    table = table.select(COLUMNS)
    numbers = np.arange(1, table.num_rows + len(torn) + 1)
    if torn:
        numbers = np.setdiff1d(numbers, torn)
    table = table.append_column("row", pa.array(numbers, pa.int64()))
    table = table.append_column("torn", pa.repeat(pa.scalar(False), table.num_rows))
    if torn:
        holes = pa.table({"row": pa.array(sorted(torn), pa.int64()), "torn": pa.repeat(pa.scalar(True), len(torn))})
        table = pa.concat_tables([table, holes], promote_options="default")
    if not table.num_rows:
        raise DeliveryError(path.name, "no rows", "Deliver it again, or leave it out if there was nothing to report.")
    return table


def _parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(
            path, partitioning=None, read_dictionary=["household_id", "person_id", "indicator", "record_id"]
        )
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
        with path.open(encoding="utf-8-sig") as lines:
            names = [c.strip().strip('"') for c in next(lines, "").rstrip("\r\n").split(",")]
            for _ in lines:  # to its end: bytes that are no UTF-8 are met here, not within the parser
                pass
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
    except UnicodeDecodeError:
        raise DeliveryError(path.name, "not UTF-8", "Save it as UTF-8.") from None
    except (OSError, pa.ArrowException) as e:
        raise DeliveryError(
            path.name, f"not a readable CSV file ({type(e).__name__})", "Save it as UTF-8, comma-separated."
        ) from None
    return table, torn


def _check_columns(path: Path, names: list[str]) -> None:
    """Refuses a header that is not ours. A first row that is none is not shown: its cells may be somebody's."""
    missing = [n for n in REQUIRED if n not in names]
    if len(missing) > 2:
        raise DeliveryError(
            path.name, "no header row that names the columns", f"Write {', '.join(REQUIRED)} above the rows."
        )
    twice = sorted(n for n in COLUMNS if names.count(n) > 1)
    if twice:
        raise DeliveryError(path.name, f"column `{twice[0]}` stands twice", "Keep one of the two.")
    unknown = [n for n in names if n not in COLUMNS]
    if missing:
        near = get_close_matches(missing[0], unknown, n=1)
        remedy = f"Was it renamed to `{near[0]}`? Rename it back." if near else f"Deliver {', '.join(REQUIRED)}."
        raise DeliveryError(path.name, f"no column `{'`, `'.join(missing)}`", remedy)
    if unknown:
        raise DeliveryError(path.name, f"unknown column `{unknown[0]}`", did_you_mean(unknown[0], COLUMNS))


def _check_types(path: Path, table: pa.Table) -> None:
    """Refuses a Parquet column of a kind that cannot be what its name says."""
    for name in table.column_names:
        kind = table.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        worded = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
        if name.endswith("_date"):
            fits = worded or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        elif name == "value":
            fits = worded or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        else:
            fits = worded or pa.types.is_integer(kind)
        if not fits:
            raise DeliveryError(path.name, f"column `{name}` is of type {kind}", "Deliver text, numbers or dates.")


def text(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column as words, dictionary-encoded, without blanks around them; null where nothing is left."""
    encoded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    words = encoded.unify_dictionaries().combine_chunks()
    if isinstance(words, pa.ChunkedArray):
        words = words.chunk(0) if words.num_chunks else pa.array([], pa.string()).dictionary_encode()
    plain = words.dictionary.cast(pa.string())
    trimmed = pc.utf8_trim_whitespace(plain)
    if trimmed.equals(plain) and not pc.any(pc.equal(plain, "")).as_py():
        return pa.DictionaryArray.from_arrays(words.indices, plain)
    kept = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    return kept.take(words.indices).dictionary_encode()
