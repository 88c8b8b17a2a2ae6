"""A copy of the ledger's files in an object store, for machines that share no folder with this one.

The ledger's files are written once and never changed, so a copy is whole when every file of a version is there in its
length. Which files these are goes to the other machines with their work: in the copy they read nothing else, and what
is taken in meanwhile is not seen. Addresses are those of Arrow's file systems (`s3://BUCKET/FOLDER`, `gs://`, `file://`),
without keys: these come from where the store's own tools take them.
"""

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache

import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.parquet as pq

from fpml.errors import InputError, LedgerError, UsageError
from fpml.ledger.reading import Reading
from fpml.ledger.table import Ledger
from fpml.progress import Progress, silent

# So many files are sent at a time, each in pieces of so many bytes.
AT_ONCE, PIECE = 8, 2**23
SENDING = "the ledger's copy"
# What may be said of an address: no keys, and nothing of what follows its folder.
_ADDRESS = re.compile(r"([a-z][a-z0-9]*://[^@?#]+)(\?[^@#]*)?")


class Copied(Reading):
    """One version of a ledger, read from its copy by whoever it is handed to."""

    def __init__(self, address: str, shards: int, version: int, files: pa.Table) -> None:
        self.shards, self._address, self._number, self._files = shards, address, version, files

    @property
    def version(self) -> int:
        """The number of the change after which it was so."""
        return self._number

    @property
    def _actions(self) -> pa.Table:
        return self._files

    @contextmanager
    def _opened(self, path: str, words: list[str]) -> Iterator[pq.ParquetFile]:
        store, root = _store(self._address)
        with (
            store.open_input_file(f"{root}/{path}") as source,
            pq.ParquetFile(source, read_dictionary=words, pre_buffer=True) as file,
        ):
            yield file

    def _lost(self, error: Exception) -> LedgerError:
        problem = f"a file of its copy at {_said(self._address)} cannot be read ({type(error).__name__})"
        return LedgerError("ledger", problem, "See to the store and who may read it there, and run again.")


def lent(ledger: Ledger, address: str, progress: Progress = silent) -> Reading:
    """The ledger at its version as its copy holds it; what the copy lacks is sent there first.

    Raises NotYetError of an empty ledger, UsageError where an address is none or holds keys, InputError where the store
    refuses, LedgerError where a file of the ledger itself is lost. After a run that was stopped only files that are not
    there whole are sent.
    """
    files = ledger.live_files()
    store, root = _store(address)
    sizes = dict(zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True))
    progress(SENDING)
    with _asked(address):
        found = store.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    there = {f.path: f.size for f in found}

    def send(path: str) -> None:
        to = f"{root}/{path}"
        with ledger.raw(path) as source, _asked(address):
            if isinstance(store, fs.LocalFileSystem):
                store.create_dir(os.path.dirname(to), recursive=True)
            with store.open_output_stream(to) as target:
                shutil.copyfileobj(source, target, PIECE)

    lacking = [path for path, size in sizes.items() if there.get(f"{root}/{path}") != size]
    sent, whole = 0, sum(sizes[path] for path in lacking)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for path, _ in zip(lacking, pool.map(send, lacking), strict=True):
            sent += sizes[path]
            progress(SENDING, sent / whole)
    return Copied(address, ledger.shards, ledger.version, files)


@contextmanager
def _asked(address: str) -> Iterator[None]:
    """Raises InputError where the store refuses."""
    try:
        yield
    except (OSError, pa.ArrowException) as e:
        problem = f"the store at {_said(address)} refused, or is not to be reached ({type(e).__name__})"
        raise InputError("--ledger-copy", problem, "See to its address and who may write there; run again.") from None


@lru_cache(maxsize=4)
def _store(address: str) -> tuple[fs.FileSystem, str]:
    if "@" in address:
        problem, remedy = "the address seems to hold keys", "Leave them to the store's own settings (docs/scale.md)."
        raise UsageError("--ledger-copy", problem, remedy)
    store, root = None, ""
    if _ADDRESS.fullmatch(address):
        try:
            store, root = fs.FileSystem.from_uri(address)
        except (OSError, ValueError, pa.ArrowException):
            store = None
    if store is None or not root.strip("/"):
        problem = "it is no address of a folder in a store that Arrow knows"
        raise UsageError("--ledger-copy", problem, "Give one as s3://BUCKET/FOLDER.")
    return store, root.rstrip("/")


def _said(address: str) -> str:
    told = _ADDRESS.fullmatch(address)
    return told[1] if told else "its address"
