"""The vault of names: what goes in and what is dropped, whose word stands on which day, and who may look."""

import os
import random
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests_support import checked

from fpml.errors import InputError
from fpml.intake import Receipt
from fpml.intake.contacts import cleaned
from fpml.vault import Contact, Vault, entries

HEAD, SON = checked("36012119800101123"), checked("36012120030303125")
HOUSEHOLDS = (
    "户编号", "户主身份证号", "户主姓名", "单据编号", "变动日期", "截止日期", "所属地区", "所在村代码",
    "家庭人口（人）", "劳动力（人）", "是否脱贫户", "户主性别", "距县城里程（公里）", "家庭住址", "联系电话", "备注",
)  # fmt: skip
MEMBERS = ("户编号", "身份证号", "姓名", "单据编号", "与户主关系", "加入日期", "离开日期", "出生日期", "劳动能力",
           "劳动能力认定日期", "劳动能力截止日期", "备注")  # fmt: skip
STAYS = ("身份证号", "参保人姓名", "结算编号", "出院结算日期", "住院自付（元）", "备注")
COSTS = ("户主身份证号", "户主姓名", "结算编号", "结算日期", "自付金额（元）", "联系电话", "备注")
LATER = date(2030, 1, 1)


def told(day: str, *rows: tuple[str, str, str], event: str = "2021-01-01", own: bool = True) -> pa.Table:
    """Entries known on a day; rows: household, role, text."""
    n = len(rows)
    households, roles, texts = zip(*rows, strict=True)
    known, event_date = date.fromisoformat(day), date.fromisoformat(event)
    return entries(
        {
            "household_id": households, "role": roles, "text": texts, "event_date": [event_date] * n,
            "known_date": [known] * n, "own": [own] * n,
        }
    )  # fmt: skip


def put(vault: Vault, tag: str, table: pa.Table) -> None:
    vault.put(tag, 0, table)
    vault.place(tag)


# Whose word stands


def test_a_correction_is_a_later_version_and_nothing_known_later_shows(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    put(vault, "a1", told("2021-01-13", ("H1", "name", "王一"), ("H1", "telephone", "1380000")))
    put(vault, "b2", told("2021-03-13", ("H1", "name", "王二")))
    assert vault.contacts(["H1"], date(2021, 1, 12), 2) == {}
    assert vault.contacts(["H1", "H9"], date(2021, 2, 28), 2) == {"H1": Contact("王一", "", "1380000")}
    assert vault.contacts(["H1"], date(2021, 3, 13), 2) == {"H1": Contact("王二", "", "1380000")}
    assert vault.contacts(["H1"], date(2021, 3, 13), 1) == {"H1": Contact("王一", "", "1380000")}, "as it was then"


def test_the_register_stands_before_departments_and_of_these_the_latest(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    put(vault, "a1", told("2021-01-13", ("H1", "name", "王一")))
    put(vault, "b2", told("2021-06-13", ("H1", "name", "李四"), ("H1", "address", "东村1组"), own=False))
    put(vault, "c3", told("2021-05-13", ("H1", "address", "西村2组"), own=False))
    assert vault.contacts(["H1"], LATER, 3) == {"H1": Contact("王一", "东村1组")}


def test_of_two_names_on_one_day_the_later_event_s_and_else_none(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    put(vault, "a1", told("2021-01-13", ("H1", "name", "王一"), ("H1", "name", "王二"), ("H1", "address", "东村1组")))
    assert vault.contacts(["H1"], LATER, 1) == {"H1": Contact("", "东村1组")}
    put(vault, "b2", told("2021-01-13", ("H1", "name", "王三"), event="2021-01-10"))
    assert vault.contacts(["H1"], LATER, 2)["H1"].name == "王三"


def test_the_order_in_which_deliveries_come_is_nothing(tmp_path: Path) -> None:
    rng = random.Random(3)
    days, names = ("2021-01-13", "2021-02-13", "2021-03-13"), ("王一", "王二", "王三")
    some = [
        told(rng.choice(days), ("H1", "name", rng.choice(names)), ("H2", "name", rng.choice(names)), own=n % 2 > 0)
        for n in range(9)
    ]
    found = []
    for order in range(4):
        vault = Vault(tmp_path / str(order))
        for n in random.Random(order).sample(range(len(some)), len(some)):
            put(vault, f"{n:x}", some[n])
        found.append(
            (vault.known_by(LATER, 9), *(vault.contacts(["H1", "H2"], date(2021, m, 28), 9) for m in (1, 2, 3)))
        )
    assert found.count(found[0]) == 4


# Merged


def many(vault: Vault, rng: random.Random, deliveries: int) -> None:
    """Deliveries of a few heads in a drawn order of days, some by departments."""
    for n in range(vault.version, vault.version + deliveries):
        day = f"2021-{rng.randrange(1, 13):02d}-13"
        rows = [(f"H{rng.randrange(6)}", rng.choice(("name", "telephone")), f"{rng.randrange(9)}") for _ in range(4)]
        put(vault, f"{n:x}", told(day, *rows, own=rng.random() < 0.5))


def all_told(vault: Vault) -> list[object]:
    """What is known of everybody by some months' ends at some versions."""
    whom = [f"H{n}" for n in range(6)]
    days = [date(2021, m, 28) for m in (3, 7, 12)]
    return [(vault.known_by(d, v), vault.contacts(whom, d, v)) for d in days for v in range(2, vault.version + 1, 6)]


def test_merged_it_tells_the_same_by_every_day_at_every_version(tmp_path: Path) -> None:
    plain, merged = Vault(tmp_path / "plain"), Vault(tmp_path / "merged")
    for round_ in range(5):
        many(plain, random.Random(round_), 13)
        many(merged, random.Random(round_), 13)
        merged.merge()
    assert len([*plain.folder.glob("*.parquet")]) == 65
    left = [*merged.folder.glob("*.parquet")]
    assert len(left) < 13
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in left) or os.name != "posix"
    assert all_told(plain) == all_told(merged)
    assert merged.merge() == 0


def test_what_is_old_is_written_anew_only_when_the_vault_has_grown_by_half(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    many(vault, random.Random(1), 60)
    assert vault.merge() == 59
    (old,) = vault.folder.glob("*.parquet")
    many(vault, random.Random(2), 13)
    assert vault.merge() == 12
    assert old.exists()
    many(vault, random.Random(3), 20)
    assert vault.merge() == 21
    assert not old.exists()
    assert vault.version == 93


@pytest.mark.parametrize("instant", [0, 1, 2, 9])
def test_a_merge_that_was_killed_loses_nothing(tmp_path: Path, instant: int) -> None:
    """Killed before its nth step: the writing of the new file, its naming, or the removal of one that it holds."""
    vault = Vault(tmp_path / "vault")
    many(vault, random.Random(7), 14)
    before = all_told(vault)
    steps = iter(range(99))

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **how: Any) -> Any:
            if next(steps) == instant:
                raise KeyboardInterrupt
            return step(*arguments, **how)

        return done

    with pytest.MonkeyPatch.context() as killed:
        for name in ("replace", "unlink"):
            killed.setattr(Path, name, counted(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            vault.merge()
    assert all_told(vault) == before
    put(vault, "ffff", told("2021-05-13", ("H1", "name", "新")))
    assert vault.version == 15
    vault.merge()
    assert len([*vault.folder.glob("*.parquet")]) == (2 if instant > 1 else 1)
    assert all_told(vault)[:2] == before[:2]


def test_a_reader_that_finds_a_file_merged_meanwhile_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(tmp_path / "vault")
    many(vault, random.Random(9), 14)
    before = vault.contacts([f"H{n}" for n in range(6)], date(2021, 12, 28), 14)
    listed = Vault._files
    looks = []

    def late(self: Vault) -> Any:
        found = listed(self)
        looks.append(len(found))
        if len(looks) == 2:  # between looking and reading
            monkeypatch.setattr(Vault, "_files", listed)
            assert self.merge() == 13
            monkeypatch.setattr(Vault, "_files", late)
        return found

    monkeypatch.setattr(Vault, "_files", late)
    assert vault.contacts([f"H{n}" for n in range(6)], date(2021, 12, 28), 14) == before != {}
    assert looks == [14, 14, 1]


def test_a_merged_file_that_is_not_as_it_was_put_there_is_refused(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    many(vault, random.Random(9), 14)
    vault.merge()
    (file,) = vault.folder.glob("*.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    with pytest.raises(InputError, match="no longer as it was put there"):
        vault.contacts(["H1"], LATER, 14)
    file.write_bytes(content[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        vault.contacts(["H1"], LATER, 14)


def test_what_an_earlier_fpml_wrote_beside_merged_files_is_never_taken_as_merged(tmp_path: Path) -> None:
    """It does not see them, and numbers its next delivery from 1."""
    vault = Vault(tmp_path / "vault")
    many(vault, random.Random(9), 14)
    vault.merge()
    earlier = Vault(tmp_path / "earlier")
    put(earlier, "ffff", told("2021-05-13", ("H1", "name", "新")))
    (file,) = earlier.folder.glob("*.parquet")
    path = file.rename(vault.folder / file.name)
    for asked in (vault.merge, lambda: vault.version, lambda: vault.contacts(["H1"], LATER, 14)):
        with pytest.raises(InputError, match="two deliveries have one number"):
            asked()
    assert path.exists()


# Taken in


class Clerk:
    """Brings files of invented people to a desk."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        members = ((HEAD, "王小明", "户主", "1980-01-01"), (SON, "王小小", "子女", "2003-03-03"))
        rows = [("HX1", n, name, "", kin, "2019-01-01", "", born, *[""] * 4) for n, name, kin, born in members]
        self.take("乡村振兴局-成员信息-2021-01_2021-01-13.csv", MEMBERS, *rows)

    def file(self, name: str, header: tuple[str, ...], *rows: tuple[str, ...]) -> Path:
        path: Path = self.desk.folder / "deliveries" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(",".join(r) for r in (header, *rows)), encoding="utf-8")
        return path

    def take(self, name: str, header: tuple[str, ...], *rows: tuple[str, ...]) -> Receipt:
        receipt: Receipt = self.desk.take(self.file(name, header, *rows))
        return receipt

    @property
    def vault(self) -> Vault:
        vault: Vault = self.desk.shelf.vault
        return vault


@pytest.fixture
def clerk(desk: Any) -> Clerk:
    return Clerk(desk)


def household(name: str, day: str = "2020-01-01", **changed: str) -> tuple[str, ...]:
    cells = dict.fromkeys(HOUSEHOLDS, "") | {"户编号": "HX1", "户主姓名": name, "变动日期": day, "家庭人口（人）": "2"}
    return tuple((cells | changed).values())


def tell(clerk: Clerk, *rows: tuple[str, ...], day: str = "2021-02-13") -> Receipt:
    return clerk.take(f"乡村振兴局-户信息-{day[:7]}_{day}.csv", HOUSEHOLDS, *rows)


def known(clerk: Clerk, day: date = LATER) -> Contact:
    vault = clerk.vault
    return vault.contacts(["HX1"], day, vault.version).get("HX1", Contact())


def test_the_register_s_file_tells_who_heads_where_they_live_and_their_telephone(clerk: Clerk) -> None:
    assert known(clerk) == Contact(), "a file of members names no head"
    tell(clerk, household("王大明", 家庭住址="东镇西村 3组", 联系电话="13800001111"))
    assert known(clerk) == Contact("王大明", "东镇西村 3组", "13800001111")
    again = tell(clerk, household("王大朋"), day="2021-03-13")
    assert again.already_known == 1, "nothing new but the name"
    assert known(clerk).name == "王大朋"
    assert known(clerk, date(2021, 3, 12)).name == "王大明"


def test_a_department_s_row_by_its_head_tells_too_and_a_person_s_does_not(clerk: Clerk) -> None:
    cost = (HEAD, "王大明", "", "2021-02-03", "100", "138****0000", "")
    clerk.take("医保局-自付医疗费-2021-02_2021-02-25.csv", COSTS, cost)
    clerk.take("医保局-住院自付费用-2021-02_2021-02-25.csv", STAYS, (SON, "王小小", "", "2021-02-03", "120.50", ""))
    assert known(clerk) == Contact("王大明", "", "138****0000")
    assert "王小小" not in repr([p.read_bytes() for p in clerk.vault.folder.rglob("*.parquet")])


def test_nothing_of_a_refused_row_and_nothing_of_a_refused_file_is_kept(clerk: Clerk) -> None:
    assert tell(clerk, household("王大明", day="2020-13-45")).quarantined == {"bad_date": 1}
    broken = (*household("王大明")[:4], "2030-01-01", *household("王大明")[5:])
    (receipt,) = clerk.desk.office().take(
        [clerk.file("乡村振兴局-户信息-2021-03_2021-03-13.csv", HOUSEHOLDS, *[broken] * 30)]
    )
    assert receipt.refused
    vault = clerk.vault.folder
    assert not [*vault.rglob("*.parquet")]


def test_where_the_county_keeps_no_names_there_is_no_vault(new_desk: Callable[..., Any], catalogue: Any) -> None:
    county = catalogue.county.model_copy(update={"names_kept": False})
    clerk = Clerk(new_desk(policy=replace(catalogue, county=county)))
    tell(clerk, household("王大明"))
    assert not (clerk.desk.folder / "vault").exists()


def test_the_same_file_again_changes_nothing_and_a_killed_run_is_finished(clerk: Clerk) -> None:
    vault = clerk.vault
    place = Vault.place
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(Vault, "place", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tell(clerk, household("王大明"))
    assert vault.version == 0
    assert Vault.place is place
    path = clerk.file("乡村振兴局-户信息-2021-02_2021-02-13.csv", HOUSEHOLDS, household("王大明"))
    for _ in range(2):
        clerk.desk.take(path)
        assert [p.name[:17] for p in vault.folder.glob("*.parquet")] == ["000001_2021-02-13"]
        assert not [*(vault.folder / "pending").iterdir()]
        assert known(clerk).name == "王大明"


# What is dropped


HOSTILE = {
    "name": [
        "=HYPERLINK(1)", "@SUM(1)", "+1", "-王", "\t=1", "王" * 51, "王" * 10_000, HEAD, f"王{HEAD}", "王1", "１２３",
        "不详", "无", "", "'=1", "<b>", "王|calc", '王"', "王\u202e=1",
    ],
    "address": ["=1", f"东村{HEAD}", f"东村 {HEAD[:6]} {HEAD[6:14]} {HEAD[14:]}", "6217000012345678901",
                "6222,0212,3456,7890,123", "村" * 101],
    "telephone": ["=1", HEAD, f"{HEAD[:6]} {HEAD[6:14]}-{HEAD[14:]}", f"{HEAD[:6]}/{HEAD[6:14]}/{HEAD[14:]}",
                  "1.38E+10", "电话", "1" * 41, "360121800101123"],
}  # fmt: skip
SOUND = {
    "name": ["王大明", "欧阳 修", "阿卜杜热依木·买买提", "张*", "刘〇", "㐂一", "Ann Li"],
    "address": ["东镇西村3组12号", "3组", "西村(原东村)3-1号", "3组12号, 2栋"],
    "telephone": ["13800001111", "138****1111", "0797-1234567/13800001111"],
}


@pytest.mark.parametrize("role", HOSTILE)
def test_what_is_no_name_no_address_and_no_number_is_dropped(role: str) -> None:
    assert cleaned(role, pa.array(HOSTILE[role], pa.string())).to_pylist() == [None] * len(HOSTILE[role])
    assert cleaned(role, pa.array(SOUND[role], pa.string())).to_pylist() == SOUND[role]


def test_forms_are_made_one(clerk: Clerk) -> None:
    assert cleaned("name", pa.array(["　王　大明\u200b ", "王大明\n"])).to_pylist() == ["王 大明", "王大明"]
    assert cleaned("telephone", pa.array(["+86 13800001111", "13800001111.0"])).to_pylist() == [
        "86 13800001111", "13800001111",
    ]  # fmt: skip


# Who may look


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_the_owner_alone_may_read_it(clerk: Clerk) -> None:
    tell(clerk, household("王大明"))
    vault = clerk.vault
    (file,) = vault.folder.glob("*.parquet")
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    vault.folder.chmod(0o750)
    with pytest.raises(InputError, match=r"vault: others than its owner may read it. Run `chmod 700 vault`"):
        known(clerk)


def test_a_file_that_is_not_as_it_was_put_there_is_refused_and_names_nobody(clerk: Clerk) -> None:
    tell(clerk, household("王大明"))
    (file,) = clerk.vault.folder.glob("*.parquet")
    file.write_bytes(file.read_bytes().replace("王大明".encode(), "李大明".encode()) + b" ")
    with pytest.raises(InputError, match="no longer as it was put there"):
        known(clerk)
