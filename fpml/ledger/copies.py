"""A copy of the ledger's files in an object store, for machines that share no folder with this one.

The ledger's files are written once and never changed, so a copy is whole when every file of a version is there in its
length. Which files these are goes to the other machines with their work: in the copy they read nothing else, and what
is taken in meanwhile is not seen. Addresses are those of Arrow's file systems (`s3://BUCKET/FOLDER`, `gs://`, `file://`).
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.parquet as pq

from fpml.errors import InputError, LedgerError, UsageError
from fpml.ledger.table import Ledger

# So many files are sent at a time, each in pieces of so many bytes.
AT_ONCE, PIECE = 8, 2**23


class Copied(Ledger):
    """One version of a ledger, read from its copy by whoever it is handed to."""

    def __init__(self, address: str, shards: int, version: int, files: pa.Table) -> None:
        self.shards, self.day, self._past = shards, None, True
        self._address, self._number, self._files = address, version, files

    def __reduce__(self) -> tuple[Callable[..., Ledger], tuple[object, ...]]:
        """Handed to another process or machine it is the same: its files are read from the copy there."""
        return Copied, (self._address, self.shards, self._number, self._files)

    @property
    def version(self) -> int:
        """The number of the change after which it was so."""
        return self._number

    @property
    def _actions(self) -> pa.Table:
        return self._files

    def _opened(self, path: str, words: list[str]) -> pq.ParquetFile:
        store, root = _store(self._address)
        return pq.ParquetFile(store.open_input_file(f"{root}/{path}"), read_dictionary=words, pre_buffer=True)

    def _lost(self, error: Exception) -> LedgerError:
        problem = f"a file of its copy at {said(self._address)} cannot be read ({type(error).__name__})"
        return LedgerError("ledger", problem, "See to the store and who may read it there, and run again.")


def lent(ledger: Ledger, address: str) -> Ledger:
    """The ledger at its version as its copy holds it; what the copy lacks is sent there first.

    Raises NotYetError of an empty ledger, UsageError where nothing is known of such addresses, InputError where the
    store refuses. After a run that was stopped only files that are not there whole are sent.
    """
    files = ledger.live_files()
    try:
        store, root = _store(address)
        there = {
            i.path: i.size for i in store.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
        }
        sizes = zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True)
        lacking = [path for path, size in sizes if there.get(f"{root}/{path}") != size]

        def send(path: str) -> None:
            to = f"{root}/{path}"
            if isinstance(store, fs.LocalFileSystem):
                store.create_dir(os.path.dirname(to), recursive=True)
            with open(ledger.folder / path, "rb") as source, store.open_output_stream(to) as target:
                shutil.copyfileobj(source, target, PIECE)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(send, lacking))
    except (OSError, pa.ArrowException) as e:
        problem = f"the store at {said(address)} refused, or is not to be reached ({type(e).__name__})"
        raise InputError("--ledger-copy", problem, "See to its address and who may write there; run again.") from None
    return Copied(address, ledger.shards, ledger.version, files)


@lru_cache(maxsize=4)
def _store(address: str) -> tuple[fs.FileSystem, str]:
    try:
        store, root = fs.FileSystem.from_uri(address)
    except (ValueError, pa.ArrowException):
        store, root = None, ""
    if store is None or not root.strip("/"):
        problem = f"{said(address)} is no folder of a store that Arrow knows"
        raise UsageError("--ledger-copy", problem, "Give one as s3://BUCKET/FOLDER.")
    return store, root.rstrip("/")


def said(address: str) -> str:
    """An address without what may be secret in it: who asks, and how."""
    told = urlsplit(address)
    return f"{told.scheme}://{told.netloc.rpartition('@')[2]}{told.path}"
