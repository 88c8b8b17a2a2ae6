"""Visits by lot where the model is unsure: how many, among whom, with what chance; and that it comes back with them."""

import dataclasses
import hashlib
import json
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from filled import YES, Township, a_list, fill

from fpml import keys
from fpml.catalogue import Catalogue
from fpml.lists import Desk, rank, write_lists
from fpml.lists.rank import EXPLORING, Lots, Places, Ranked

pytestmark = pytest.mark.filterwarnings("ignore:Cannot parse header or footer:UserWarning")
SCORE = np.linspace(0.9, 0.1, 60)


def drawn(
    seed: int = 1, *, most: int = 5, reach: int = 4, visits: int = 20, hit: slice = slice(0, 0), **how: object
) -> Ranked:
    """A list of sixty households, the highest score first."""
    lines = {"rule": np.zeros(60, bool)}
    lines["rule"][hit] = True
    lots = Lots(most, reach, lambda row: hashlib.sha256(f"{seed}:{row}".encode()).digest())
    none = np.zeros(60, bool)
    return rank(SCORE, none, lines, visits=visits, apart=none, lots=lots, **how)  # type: ignore[arg-type]


def test_chances_of_all_who_could_be_drawn_add_up_to_how_many_are() -> None:
    r = drawn()
    assert len(r.rows) == 20
    assert (len(r.drawn), r.among) == (5, 20)
    assert r.among * next(iter(r.drawn.values())) == 5
    assert set(range(15)) <= set(r.rows.tolist()), "the certain part is the highest"
    assert all(15 <= at < 35 for at in r.drawn)
    assert [by for at, by in zip(r.rows, r.listed_by, strict=True) if int(at) in r.drawn] == [EXPLORING] * 5


def test_each_is_drawn_as_often_as_is_said_of_it() -> None:
    times = Counter(at for seed in range(2_000) for at in drawn(seed).drawn)
    assert set(times) == set(range(15, 35))
    # 500 of 2,000 are expected of each, give or take 4.5 standard errors.
    assert all(abs(n - 500) < 4.5 * (2_000 * 0.25 * 0.75) ** 0.5 for n in times.values())


def test_the_same_seed_draws_the_same_and_another_one_others() -> None:
    assert drawn(1).rows.tolist() == drawn(1).rows.tolist()
    assert drawn(1).drawn.keys() != drawn(2).drawn.keys()


@pytest.mark.parametrize(("hits", "by_lot"), [(14, 3), (18, 1), (19, 0), (20, 0), (30, 0)])
def test_no_rule_hit_gives_up_its_visit_and_the_highest_scores_keep_half_of_what_is_left(
    hits: int, by_lot: int
) -> None:
    r = drawn(hit=slice(60 - hits, 60))
    assert set(range(60 - hits, 60)) <= set(r.rows.tolist())
    assert (len(r.drawn), len(r.rows)) == (by_lot, max(20, hits))


def test_where_few_are_left_all_are_drawn_for_certain_and_without_a_share_nobody() -> None:
    r = drawn(visits=60, most=5)
    assert (len(r.drawn), r.among, set(r.drawn.values())) == (5, 5, {1.0})
    assert drawn(most=0).drawn == {}


def test_a_village_s_floor_takes_nobody_who_was_in_the_draw() -> None:
    villages = Places(np.arange(60) // 2, most=3)
    r = drawn(places=villages)
    certain = [int(at) for at in r.rows if int(at) not in r.drawn]
    assert r.floors == 3
    assert len(certain) == 15
    assert not [at for at in certain if 15 <= at < 35]


def test_the_chance_goes_out_with_the_list_and_comes_back_with_the_visit(tmp_path: Path, catalogue: Catalogue) -> None:
    town = Township(tmp_path / "town", catalogue)
    village = "360121001001"
    warnings = dataclasses.replace(
        a_list(catalogue, {village: ["H1", "H2"]}), listed_by=("rule", EXPLORING), drawn=(None, 0.25)
    )
    out = tmp_path / "list"
    out.mkdir()
    key = keys.load(town.folder / "lists.key")
    write_lists(warnings, out, Desk(catalogue, key, town.folder / "issued"))
    for file in ("warnings.json", f"villages/{village}.json"):
        rows = json.loads((out / file).read_text(encoding="utf-8"))["rows"]
        assert [r.get("drawn") for r in rows] == [None, 0.25]
    assert "抽签" in (out / "summary.csv").read_text(encoding="utf-8-sig")
    workbook = out / "villages" / f"{village}.xlsx"
    (receipt,) = town.take(fill(workbook, tmp_path / "filled.xlsx", {1: YES, 2: YES}, catalogue))
    assert receipt.accepted == 2
    assert {h: v.drawn for h, v in town.standing().items()} == {"H1": None, "H2": 0.25}


def test_policy_is_dated_and_the_default_draws_nobody(catalogue: Catalogue) -> None:
    listing = catalogue.listing
    assert listing.exploring_on(date(2019, 12, 31)) is None
    (only,) = listing.exploring
    assert listing.exploring_on(date(2024, 6, 30)) == only
    assert only.share == 0
