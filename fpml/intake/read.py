"""Canonical records -> tables of their rows, still as delivered; a file that cannot be read whole is refused whole."""

import hashlib
from collections.abc import Iterator
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
WORDS = ("household_id", "person_id", "indicator", "record_id")
# So many rows are taken in at a time.
PIECE = 1_000_000


def fingerprint(path: Path) -> str:
    """Sixteen hex digits of the file's SHA-256; raises DeliveryError where there is no such file."""
    try:
        if path.exists() and not path.is_file():  # a pipe might never end
            raise DeliveryError(path.name, "cannot be opened (no file)", "Deliver files, not folders.")
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()[:16]
    except FileNotFoundError:
        raise DeliveryError(path.name, "no such file", "Check the name and the folder.") from None
    except OSError as e:
        raise DeliveryError(path.name, f"cannot be opened ({e.strerror})", "Check that you may read it.") from None


def is_canonical(path: Path) -> bool:
    """Whether a file's columns are those of canonical records, or most of them; one that cannot be read is not."""
    try:
        if path.suffix.lower() == ".parquet":
            names = pq.read_schema(path).names
        else:
            with path.open(encoding="utf-8-sig", errors="replace") as lines:
                names = [c.strip().strip('"') for c in lines.readline(10_000).split(",")]
    except (OSError, pa.ArrowException):
        return False
    return sum(n in names for n in REQUIRED) > len(REQUIRED) / 2


def read(path: Path) -> Iterator[pa.Table]:
    """The delivery's rows, so many at a time: every column of COLUMNS, and `row`, their number from 1 below the header.

    CSV (UTF-8, comma; every cell as text) or Parquet. Rows of a CSV with too few or too many cells have `torn` true.
    Raises DeliveryError where the file cannot be read whole, but for what is met far down a long one.
    """
    if path.suffix.lower() == ".parquet":
        parts = _parquet(path)
    elif path.suffix.lower() == ".csv":
        parts = _csv(path)
    else:
        raise DeliveryError(path.name, f"a {path.suffix or 'nameless'} file", "Deliver .csv or .parquet.")
    last, whole = 0, 0
    for table, torn in parts:
        for name in OPTIONAL:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
        size = table.num_rows + len(torn)
        if not size:
            continue
        numbers = np.setdiff1d(np.arange(last + 1, last + size + 1), torn)
        table = table.select(COLUMNS).append_column("row", pa.array(numbers, pa.int64()))
        table = table.append_column("torn", pa.repeat(pa.scalar(False), table.num_rows))
        if torn:
            holes = pa.table({"row": pa.array(sorted(torn), pa.int64()), "torn": pa.repeat(pa.scalar(True), len(torn))})
            table = pa.concat_tables([table, holes], promote_options="default")
        last, whole = last + size, whole + size
        yield table
    if not whole:
        raise DeliveryError(path.name, "no rows", "Deliver it again, or leave it out if there was nothing to report.")


def _parquet(path: Path) -> Iterator[tuple[pa.Table, list[int]]]:
    """The rows of a Parquet file, PIECE at a time."""
    try:
        schema = pq.read_schema(path)
        _check_columns(path, schema.names)
        _check_types(path, schema)
        words = [f.name for f in schema if f.name in WORDS and pa.types.is_string(f.type)]
        with pq.ParquetFile(path, read_dictionary=words) as file:
            parts: list[pa.RecordBatch] = []
            for batch in file.iter_batches(batch_size=PIECE // 8):
                parts.append(batch)
                if sum(p.num_rows for p in parts) >= PIECE:
                    yield pa.Table.from_batches(parts), []
                    parts = []
            yield pa.Table.from_batches(parts, file.schema_arrow), []
    except (OSError, pa.ArrowException) as e:
        raise DeliveryError(
            path.name, f"not a whole Parquet file ({type(e).__name__})", "It may have been cut off: deliver it again."
        ) from None


def _csv(path: Path) -> Iterator[tuple[pa.Table, list[int]]]:
    """The rows of a CSV file, PIECE at a time, and the numbers of torn ones among them."""
    torn: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        """Notes a torn row."""
        torn.append(row.number - 1)
        return "skip"

    try:
        with path.open(encoding="utf-8-sig") as lines:
            names = [c.strip().strip('"') for c in next(lines, "").rstrip("\r\n").split(",")]
            for _ in lines:  # to its end: bytes that are no UTF-8 are met here, not within the parser
                pass
        _check_columns(path, names)
        with pyarrow.csv.open_csv(
            path,
            # One thread, so that torn rows are told by their number.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=2**22),
            parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={n: pa.string() for n in COLUMNS},
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        ) as batches:
            _check_columns(path, batches.schema.names)
            parts: list[pa.RecordBatch] = []
            told = 0
            for batch in batches:
                parts.append(batch)
                if (size := sum(p.num_rows for p in parts)) >= PIECE:
                    # The parser may be ahead: of the torn rows only those above the last whole one belong here.
                    mine = _above(torn, told + size)
                    yield pa.Table.from_batches(parts), mine
                    told, parts = told + size + len(mine), []
                    torn[:] = torn[len(mine) :]
            yield pa.Table.from_batches(parts, batches.schema), sorted(torn)
    except UnicodeDecodeError:
        raise DeliveryError(path.name, "not UTF-8", "Save it as UTF-8.") from None
    except (OSError, pa.ArrowException) as e:
        raise DeliveryError(
            path.name, f"not a readable CSV file ({type(e).__name__})", "Save it as UTF-8, comma-separated."
        ) from None


def _above(torn: list[int], last: int) -> list[int]:
    """The torn rows that lie above so many whole ones: each moves the last of those one row down."""
    mine: list[int] = []
    for row in sorted(torn):
        if row > last + len(mine):
            break
        mine.append(row)
    return mine


def _check_columns(path: Path, names: list[str]) -> None:
    """Refuses a header that is not ours. A first row that is none is not shown: its cells may be somebody's."""
    missing = [n for n in REQUIRED if n not in names]
    if len(missing) > 2:
        own = "a department's own file is named as 医保局-住院-2021-01_2021-01-25"
        remedy = f"Write {', '.join(REQUIRED)} above the rows; {own}."
        raise DeliveryError(path.name, "no header row that names the columns", remedy)
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


def _check_types(path: Path, schema: pa.Schema) -> None:
    """Refuses a Parquet column of a kind that cannot be what its name says."""
    for name in schema.names:
        kind = schema.field(name).type
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
