from pathlib import Path

import pytest

from fpml import lists
from fpml.dates import AsOf
from fpml.errors import InputError
from fpml.lists import MadeFrom

MONTH = AsOf.parse("2023-12")
MADE = MadeFrom("2023-12", "zh", 3, "known", "policy", {"relapse": "2023-06-a"}, {"2023-11": (1, "x")}, {"fpml": "1"})


def put(folder: Path, text: str = "a") -> lists.Edition:
    half = lists.half_made(folder, MONTH)
    (half / "villages").mkdir()
    (half / "villages" / "1.csv").write_text(text)
    policy = folder.parent / "county.yaml"
    policy.write_text("name: x\n")
    lists.sealed(half, MADE, (("listed", 3),), [policy])
    return lists.put_in_force(half, folder, MONTH)


def test_editions_are_counted_and_the_highest_is_in_force(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    assert lists.newest(folder, MONTH) is None
    assert [put(folder, str(n)).folder.name for n in range(11)][-2:] == ["2023-12-edition-10", "2023-12-edition-11"]
    newest = lists.newest(folder, MONTH)
    assert newest is not None
    assert (newest.number, (newest.folder / "villages" / "1.csv").read_text()) == (11, "10")
    assert [e.number for e in lists.editions(folder)] == list(range(1, 12))


def test_what_is_no_whole_edition_is_not_seen(tmp_path: Path) -> None:
    put(tmp_path / "lists")
    for name in (".part-2023-12", ".old-2023-12", "2023-12-edition-", "2023-12-edition-0", "2023-12 (copy)", "x"):
        (tmp_path / "lists" / name).mkdir()
    (tmp_path / "lists" / "2023-11").write_text("a file")
    assert [e.folder.name for e in lists.editions(tmp_path / "lists")] == ["2023-12"]


def test_a_stamp_says_all_that_a_list_was_made_from_and_what_is_no_longer_so(tmp_path: Path) -> None:
    edition = put(tmp_path / "lists")
    assert edition.made == MADE
    assert edition.about == (("listed", 3),)
    assert set(edition.files) == {"villages/1.csv", "policy/county.yaml"}
    assert edition.altered() == ()
    (edition.folder / "villages" / "1.csv").write_text("b")
    (edition.folder / "policy" / "county.yaml").unlink()
    (edition.folder / "more.csv").write_text("c")
    assert edition.altered() == ("more.csv", "policy/county.yaml", "villages/1.csv")
    (edition.folder / "stamp.json").write_text('{"made": {"as_of": 1}}')
    with pytest.raises(InputError, match="its stamp cannot be read"):
        edition.made  # noqa: B018


def test_later_versions_of_the_ledger_alone_make_no_other_list() -> None:
    assert MADE.differs(MadeFrom(**{**vars(MADE), "ledger": 9})) == ()
    assert MADE.differs(MadeFrom(**{**vars(MADE), "known": "more", "language": "en"})) == ("language", "known")


def test_nothing_that_was_published_is_written_to(tmp_path: Path) -> None:
    first = put(tmp_path / "lists", "first")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.folder.rglob("*") if p.is_file()}
    put(tmp_path / "lists", "second")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
