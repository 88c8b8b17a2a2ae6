"""The ledger's copy in an object store: what goes there, what is read from there, and what is said where it is not."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as fs
import pytest
from object_store import object_store

import fpml
from fpml.engine import packed, unpacked
from fpml.errors import InputError, LedgerError, NotYetError, UsageError
from fpml.ledger import Ledger, lent


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with object_store() as address:
        yield address


def objects(address: str) -> dict[str, int]:
    """What lies in a folder of the store: the length of each object."""
    files, root = fs.FileSystem.from_uri(address)
    found = files.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    return {f.path.removeprefix(root): f.size for f in found if f.type == fs.FileType.File}


def test_a_ledger_is_read_from_its_copy_where_its_folder_is_not(demo: fpml.County, store: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(demo.workspace.ledger, tmp_path / "ledger"))
    handed = packed(lent(Ledger(folder), store).shard)
    shutil.rmtree(folder)
    shard, ledger = unpacked(handed), demo.ledger
    assert all(shard(n).equals(ledger.shard(n)) for n in range(ledger.shards))
    there = lent(ledger, store)
    assert (there.version, there.shards, there.content, there.tells_of_people) == (
        ledger.version, ledger.shards, ledger.content, ledger.tells_of_people,
    )  # fmt: skip
    assert unpacked(packed(unpacked(packed(there)))).shard(1).equals(ledger.shard(1))


def test_only_what_is_not_there_whole_is_sent(demo: fpml.County, tmp_path: Path) -> None:
    address = (tmp_path / "copy").as_uri()
    shown: list[float | None] = []
    lent(demo.ledger, address, lambda _, share=None: shown.append(share))
    assert shown[0] is None
    assert shown[1:] == sorted(shown[1:], key=float)  # type: ignore[arg-type]
    assert (len(shown), shown[-1]) == (1 + len(demo.ledger.paths), 1)
    whole = objects(address)
    assert sorted(whole) == sorted(f"/{p}" for p in demo.ledger.paths)
    first, second, *rest = sorted(p for p in (tmp_path / "copy").rglob("*.parquet"))
    first.write_bytes(first.read_bytes()[:100])
    second.unlink()
    untouched = {p: p.stat().st_mtime_ns for p in rest}
    there = lent(demo.ledger, f"{address}/")
    assert objects(address) == whole
    assert {p: p.stat().st_mtime_ns for p in rest} == untouched
    assert there.shard(0).equals(demo.ledger.shard(0))


def test_a_file_that_the_copy_lost_is_told(demo: fpml.County, store: str) -> None:
    address = store.replace("s3://county/of", "s3://county/of-another")
    there = lent(demo.ledger, address)
    files, root = fs.FileSystem.from_uri(address)
    files.delete_dir_contents(root)
    with pytest.raises(LedgerError, match=r"copy at s3://county/of-another/ledger cannot be read"):
        there.shard(0)


def test_a_store_that_refuses_is_told(demo: fpml.County, store: str) -> None:
    with pytest.raises(InputError, match=r"the store at s3://nobodys/ledger refused") as told:
        lent(demo.ledger, store.replace("s3://county/of", "s3://nobodys"))
    assert told.value.exit_code == 3


def test_a_file_that_the_ledger_lost_is_no_fault_of_the_store(demo: fpml.County, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(demo.workspace.ledger, tmp_path / "ledger"))
    ledger = Ledger(folder)
    (folder / ledger.paths[0]).unlink()
    with pytest.raises(LedgerError, match="a data file is missing or damaged"):
        lent(ledger, (tmp_path / "copy").as_uri())


@pytest.mark.parametrize(
    "address",
    [
        "county/ledger", "ftp://there/ledger", "s3://", "s3://[bad/ledger", "", "S3://county/ledger#secret",
        "s3://clerk:secret@county/ledger", "s3://clerk:sec/ret@county/ledger", "s3://clerk:sec#ret@county/ledger",
        "s3://clerk:sec?secret@county/ledger", "s3://county/ledger?key=secret@",
    ],
)  # fmt: skip
def test_an_address_of_no_store_or_with_keys_is_refused_and_not_repeated(demo: fpml.County, address: str) -> None:
    with pytest.raises(UsageError) as told:
        lent(demo.ledger, address)
    assert told.value.exit_code == 2
    assert "secret" not in str(told.value)
    assert "sec" not in str(told.value).replace("second", "")


def test_of_an_empty_ledger_nothing_is_copied(tmp_path: Path) -> None:
    with pytest.raises(NotYetError):
        lent(Ledger(tmp_path / "ledger"), (tmp_path / "copy").as_uri())
    assert not (tmp_path / "copy").exists()
