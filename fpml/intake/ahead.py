"""Files opened ahead of those that are read: workbooks are parsed in processes of their own, and so side by side."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from fpml.intake.parquets import ParquetTable
from fpml.intake.tables import RawTable, tables

# So many are parsed, or wait to be read, beside the one that is; a workbook's cells are held in memory till then.
AHEAD = 2


class Ahead:
    """The tables of files, asked for in this order; leave it, and what was not asked for is dropped."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._left = list(reversed(paths))
        self._opened: dict[Path, Future[Sequence[RawTable]]] = {}
        self._pool = ThreadPoolExecutor(AHEAD)

    def tables(self, path: Path) -> Sequence[RawTable]:
        """The tables of a file; raises DeliveryError where it cannot be read whole."""
        if path not in self._opened:
            self._left = [p for p in self._left if p != path]
            self._opened[path] = self._pool.submit(opened, path)
        while self._left and len(self._opened) <= AHEAD:
            following = self._left.pop()
            self._opened[following] = self._pool.submit(opened, following)
        return self._opened.pop(path).result()

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)


def opened(path: Path) -> Sequence[RawTable]:
    """The tables of a file of any kind; raises DeliveryError where it cannot be read whole."""
    return [ParquetTable.of(path)] if path.suffix.lower() == ".parquet" else tables(path)
