from datetime import date

import numpy as np
import pytest

from fpml.simulate.identity import Issued, certificate_numbers, check_character, id_numbers, mixed, names, place_names

COUNTY = 360_121


def days(*written: str) -> np.ndarray:
    return np.array(written, "datetime64[D]").astype(np.int64)


def numbers(start: Issued, *, born: np.ndarray, male: bool = True, area: int = COUNTY) -> tuple[list[str], Issued]:
    ids, after = start.issue(np.full(born.size, area), born, np.full(born.size, male))
    return ids.to_pylist(), after


def remainder(number: str) -> int:
    """ISO 7064 MOD 11-2 as the standard has it: the weighted sum of all eighteen leaves 1."""
    weights = [pow(2, 18 - place, 11) for place in range(1, 19)]
    values = [10 if c == "X" else int(c) for c in number]
    return sum(w * v for w, v in zip(weights, values, strict=True)) % 11


def test_the_example_of_the_standard_comes_out() -> None:
    # GB 11643-1999: 11010519491231002X.
    made = id_numbers(np.array([110_105]), days("1949-12-31"), np.array([2]))
    assert made.to_pylist() == ["11010519491231002X"]
    assert check_character("34052419800101001") == "X"


def test_every_number_passes_the_check_and_bears_area_birth_and_sex() -> None:
    rng = np.random.default_rng(1)
    born = rng.integers(days("1925-01-01")[0], days("2023-12-31")[0], 3_000)
    male = rng.random(3_000) < 0.5
    ids, _ = Issued(3, 18).issue(np.full(3_000, COUNTY), born, male)
    for number, day, is_male in zip(ids.to_pylist(), born.tolist(), male.tolist(), strict=True):
        assert remainder(number) == 1
        assert number[:6] == "360121"
        assert number[6:14] == f"{date.fromordinal(day + date(1970, 1, 1).toordinal()):%Y%m%d}"
        assert int(number[16]) % 2 == is_male


def test_nobody_in_the_province_has_the_number_of_another() -> None:
    # Everybody born on one day, so that the lanes are full and the next area codes are used.
    everybody = []
    for area in (COUNTY, COUNTY + 1, 360_730):
        for lane in range(5):
            for male in (True, False):
                everybody += numbers(Issued(lane, 5), born=np.repeat(days("1980-05-05"), 240), male=male, area=area)[0]
    assert len(set(everybody)) == len(everybody) == 3 * 5 * 2 * 240
    assert all(remainder(n) == 1 for n in everybody)


def test_those_who_come_later_leave_the_others_as_they_are() -> None:
    born = days("1980-05-05", "1980-05-05", "1999-01-01", "1980-05-05")
    together, at_once = numbers(Issued(0, 20), born=born)
    first, after = numbers(Issued(0, 20), born=born[:2])
    later, at_last = numbers(after, born=born[2:])
    assert [*first, *later] == together
    assert numbers(after, born=born[2:])[0] == later  # what was kept can be gone on from again
    assert at_last.counts.tolist() == at_once.counts.tolist() == [3, 1]


def test_a_full_lane_goes_on_under_an_area_code_that_is_no_countys() -> None:
    made, _ = numbers(Issued(0, 20), born=np.repeat(days("1980-05-05"), 26))
    assert [n[:6] for n in made[24:]] == ["360121", "362121"]
    assert made[24][14:17] == "049"
    assert made[25][14:17] == "001"


def test_more_people_than_a_lane_can_number_are_refused() -> None:
    full, after = numbers(Issued(0, 20), born=np.repeat(days("1980-05-05"), 125))
    assert len(set(full)) == 125
    with pytest.raises(ValueError, match="more than 125 people of a sex born on one day"):
        numbers(after, born=days("1980-05-05"))


@pytest.mark.parametrize(("lane", "lanes", "area"), [(20, 20, COUNTY), (0, 501, COUNTY), (0, 1, 362_121), (0, 1, 36)])
def test_a_lane_or_area_that_does_not_exist_is_refused(lane: int, lanes: int, area: int) -> None:
    with pytest.raises(ValueError, match=r"lane|area code"):
        numbers(Issued(lane, lanes), born=days("1980-05-05"), area=area)


def test_nobody_to_number_is_no_trouble() -> None:
    assert numbers(Issued(0, 1), born=np.empty(0, np.int64))[0] == []


def test_certificates_begin_with_the_id_number_and_end_in_kind_and_grade() -> None:
    ids, _ = Issued(0, 1).issue(np.full(3, COUNTY), days("1980-05-05", "1990-01-01", "2001-02-28"), np.ones(3, bool))
    made = certificate_numbers(ids, np.array([4, 1, 7]), np.array([1, 4, 2])).to_pylist()
    assert made == [f"{n}{e}" for n, e in zip(ids.to_pylist(), ("41", "14", "72"), strict=True)]
    sliced = certificate_numbers(ids[1:], np.array([1, 7]), np.array([4, 2])).to_pylist()
    assert sliced == made[1:]


def test_a_name_follows_from_seed_serial_family_and_sex_and_nothing_else() -> None:
    person, family = np.arange(600), np.arange(600) // 4
    male = np.arange(600) % 2 == 0
    all_of = names(person, male, family=family, seed=3).to_pylist()
    assert names(person[100:], male[100:], family=family[100:], seed=3).to_pylist() == all_of[100:]
    assert names(person, male, family=family, seed=4).to_pylist() != all_of
    assert {len(n) for n in all_of} == {2, 3}
    assert all_of[4][0] == all_of[5][0] == all_of[6][0]
    men, women = ({n[-1] for n, m in zip(all_of, male, strict=True) if m is np.bool_(sex)} for sex in (True, False))
    assert men.isdisjoint(women)
    assert len({n[0] for n in all_of}) > 25


def test_places_have_names_of_their_own_that_stay() -> None:
    towns = place_names(18, "镇", seed=1)
    assert len(set(towns)) == 18
    assert all(t.endswith("镇") and len(t) == 3 for t in towns)
    assert place_names(300, "镇", seed=1)[:18] == towns
    assert place_names(18, "镇", seed=2) != towns
    with pytest.raises(ValueError, match="names of places"):
        place_names(1_000, "村", seed=1)


def test_mixed_bits_are_even_and_never_warn() -> None:
    bits = mixed(np.arange(20_000), 2**40)
    assert len(set(bits.tolist())) == 20_000
    assert abs((bits % np.uint64(2)).mean() - 0.5) < 0.02
