"""The canonical form: one Parquet file a month, as `fpml intake` reads it."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fpml.catalogue import Catalogue
from fpml.simulate.files.forms import Positions, number_texts

# The word that intake knows for a record taken back.
WITHDRAWN = "withdrawn"


def write_records(path: Path, told: pa.Table, *, who: tuple[pa.Table, pa.Table], catalogue: Catalogue) -> None:
    """Writes what became known, row by row in the order given, under pseudonyms; `who`: people and homes.

    The same facts give the same bytes.
    """
    people, homes = who
    household = told["household"].combine_chunks().dictionary_encode()
    home = Positions(homes["household"], "household").of(household.dictionary.to_numpy())
    codes = homes["household_id"].combine_chunks().take(pa.array(home))
    columns = {
        "household_id": pa.DictionaryArray.from_arrays(household.indices, codes),
        "person_id": _pseudonyms(told["person"].to_numpy(), people),
        "indicator": told["indicator"].combine_chunks().dictionary_encode(),
        "event_date": told["event_date"],
        "until_date": told["until_date"],
        "known_date": told["known_date"],
        "value": _values(told, catalogue),
        "record_id": _records(told["record_id"].to_numpy()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # One group of rows and no statistics: half the time, and whoever takes a delivery in reads all of it.
    whole = {"row_group_size": 2**22, "write_statistics": False}
    half = path.with_suffix(".part")
    pq.write_table(pa.table(columns), half, compression="zstd", compression_level=1, **whole)
    half.replace(path)


def pseudonym(id_number: str) -> str:
    """What stands for a person in canonical deliveries: `P` and fifteen hex digits."""
    return "P" + hashlib.sha256(id_number.encode()).hexdigest()[:15]


def _pseudonyms(person: npt.NDArray[np.int64], people: pa.Table) -> pa.DictionaryArray:
    """Each row's person; hashed once for each person told of."""
    told = pa.array(person, mask=person < 0).dictionary_encode()
    at = Positions(people["person"], "person").of(told.dictionary.to_numpy())
    numbers = people["id_number"].combine_chunks().take(pa.array(at)).to_pylist()
    hashed = [hashlib.sha256(n).hexdigest()[:15] for n in map(str.encode, numbers)]
    return pa.DictionaryArray.from_arrays(told.indices, pa.array(["P" + h for h in hashed], pa.string()))


def _values(told: pa.Table, catalogue: Catalogue) -> pa.DictionaryArray:
    """Values in natural units as text, each distinct one written once; null becomes `withdrawn`."""
    names = told["indicator"].combine_chunks().dictionary_encode()
    decimals = np.array([catalogue.indicators[n].decimals for n in names.dictionary.to_pylist()], np.int64)
    places = decimals[names.indices.to_numpy()] if decimals.size else np.empty(0, np.int64)
    value = told["value"].combine_chunks()
    known = pc.is_valid(value).to_numpy(zero_copy_only=False)
    stored = pc.fill_null(value, 0).to_numpy()
    # What has the same number of decimals is told apart by the integer alone.
    texts: list[pa.StringArray] = [pa.array([WITHDRAWN])]
    at = np.zeros(stored.size, np.int64)
    for n in np.unique(places).tolist():
        mine = (places == n) & known
        distinct = pa.array(stored[mine]).dictionary_encode()
        at[mine] = distinct.indices.to_numpy().astype(np.int64) + sum(map(len, texts))
        texts.append(number_texts(distinct.dictionary.to_numpy(), n))
    return pa.DictionaryArray.from_arrays(pa.array(at.astype(np.int32)), pa.concat_arrays(texts))


def _records(record: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(record, pa.int64(), mask=record < 0)
