"""The kernel against the oracle, and the invariants of time: what was not known by the as-of is not in the history."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import oracle
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Version

from fpml import features
from fpml.catalogue import Catalogue, load
from fpml.dates import AsOf
from fpml.features import Asked, histories
from fpml.households import linked
from fpml.ledger import SCHEMA, Ledger, fact_keys, household_order, shard_of

POLICY = """
departments.yaml: |
  survey: {name: {en: survey}}
  hospital: {name: {en: hospital}}
  school: {name: {en: school}, cadence_months: 6}
  bureau: {name: {en: bureau}}
  register: {name: {en: register}}
indicators.yaml: |
  asked: {name: {en: asked}, department: survey, kind: event, unit: {en: x}, grain: household}
  level: {name: {en: level}, department: survey, kind: level, unit: {en: x}, grain: household}
  aid: {name: {en: aid}, department: survey, kind: amount, decimals: 2, unit: {en: yuan}, grain: person, absent: zero,
        covered_by: asked}
  paid: {name: {en: paid}, department: hospital, kind: amount, decimals: 2, unit: {en: yuan}, grain: person,
         absent: zero, usual_lag_months: 1}
  cost: {name: {en: cost}, department: hospital, kind: count, unit: {en: x}, grain: person, absent: zero,
         direction: raises}
  test: {name: {en: test}, department: hospital, kind: count, unit: {en: x}, grain: person}
  fee: {name: {en: fee}, department: school, kind: amount, decimals: 2, unit: {en: yuan}, grain: household,
        absent: zero, usual_lag_months: 3}
  poor: {name: {en: poor}, department: bureau, kind: status, unit: {en: x}, grain: household, absent: zero}
  home: {name: {en: home}, department: survey, kind: status, unit: {en: x}, grain: household, absent: zero,
         covered_by: asked}
  ill: {name: {en: ill}, department: bureau, kind: status, unit: {en: x}, grain: person, absent: zero,
        direction: raises}
  work: {name: {en: work}, department: bureau, kind: status, unit: {en: x}, grain: person}
  permit: {name: {en: permit}, department: bureau, kind: status, unit: {en: x}, grain: person, follows_person: false}
  skill: {name: {en: skill}, department: bureau, kind: level, unit: {en: x}, grain: person}
  member: {name: {en: member}, department: register, kind: status, unit: {en: x}, grain: person}
  place: {name: {en: place}, department: register, kind: status, unit: {en: x}, grain: household}
  born: {name: {en: born}, department: register, kind: event, unit: {en: x}, grain: person, follows_person: true,
         absent: zero}
features.yaml: |
  near: {kind: context, of: level__last__ever, place: place, name: {en: near}, unit: {en: x}}
  town: {kind: context, of: paid__sum__12m, place: place, place_digits: 2, name: {en: town}, unit: {en: yuan}}
  change: {kind: change, of: level__last__ever, by: [level__last__12m], name: {en: change}, unit: {en: x}}
  share: {kind: ratio, of: paid__sum__12m, by: [line, heads], name: {en: share}, unit: {en: x}}
  earlier: {kind: ratio, of: paid__sum__6m_2m_ago, by: [line, heads], name: {en: earlier}, unit: {en: x}}
rules.yaml: ""
county.yaml: |
  name: {en: test}
  watched: {feature: asked__count__ever, at_least: 1}
  membership: member
  village: place
  visits: 3
  line: {unit: {en: yuan}, months: 12, heads: member__holding__ever, region: place, source: test, mark: assumed,
         values: {all: [{from: 1990-01-01, value: 100}, {from: 2021-07-01, value: 150.5}],
                  "1102": [{from: 1990-01-01, value: 80}]}}
  outcomes:
    fall: {name: {en: fall}, at_risk: [{feature: level__last__ever, at_least: 0}],
           fall: {feature: level__last__ever, below: 0}, horizons: [3]}
"""
BOUNDED = ["1m", "3m", "6m_2m_ago", "12m", "24m", "ytd", "ytd_12m_ago"]
EVERY = [*BOUNDED, "ever", "ever_3m_ago"]
ANY_WINDOW = ["sum", "count", "max", "min", "mean", "last", "months_since"]
MONTH_BY_MONTH = ["trend", "sd", "months_with"]
HOUSEHOLDS = ("a", "b", "c", "d", "e")
# It has many records of what departments usually tell, so that a month without any is a hole.
FULL = "full"
PEOPLE = ("p", "q", "r", "s", "t", "u")
FIRST = 2020 * 12
START = date(2020, 1, 1)
KINDS = {
    **dict.fromkeys(("asked", "level", "fee", "poor", "home", "place"), False),
    **dict.fromkeys(("aid", "paid", "cost", "test", "ill", "work", "permit", "skill", "born"), True),
}
STATUSES = ("poor", "home", "ill", "work", "permit", "place", "member")
PLACES = (1101, 1102, 1201)
FEW = settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def load_policy(folder: Path, policy: str = POLICY) -> Catalogue:
    """The test's policy, with every reduction over every window that makes sense of an indicator."""
    files = yaml.safe_load(policy)
    indicators = yaml.safe_load(files["indicators.yaml"])
    for told in indicators.values():
        status = ["holding"] + ["duration"] * (told["grain"] == "household") if told["kind"] == "status" else []
        told["features"] = [
            {"windows": EVERY, "reductions": ANY_WINDOW + status},
            {"windows": BOUNDED, "reductions": MONTH_BY_MONTH},
        ]
    files["indicators.yaml"] = json.dumps(indicators)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder, Path(features.__file__).parents[1] / "policy")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_policy(tmp_path_factory.mktemp("policy"))


def day_in(month: int, day: int) -> date:
    """A day of a month; 31 is its last."""
    end = AsOf(month).date
    return end if day == 31 else end.replace(day=day)


DAYS = st.builds(day_in, st.integers(FIRST, FIRST + 32), st.sampled_from((1, 14, 31)))
DELAYS = st.sampled_from((0, 2, 20, 45, 120, 400, -25))
LASTING = st.sampled_from((None, None, 0, 17, 30, 61, 200, 500))


@st.composite
def told(draw: st.DrawFn, household: str, person: str | None, indicator: str, number: str) -> list[Version]:
    """A fact and what became of it: corrected in value, end or household, withdrawn, told again."""

    def value() -> int:
        if indicator in STATUSES:
            return 1 if indicator == "member" else draw(st.sampled_from(PLACES if indicator == "place" else (0, 1, 2)))
        return draw(st.one_of(st.integers(-3, 3), st.integers(-500, 10**9)))

    def until(event: date) -> date | None:
        lasts = draw(LASTING) if indicator in STATUSES else None
        return None if lasts is None else event + timedelta(days=lasts)

    event = draw(DAYS)
    at = event + timedelta(days=draw(DELAYS))
    record = draw(st.sampled_from((None, None, number)))
    out = [Version(household, person, indicator, record, event, until(event), at, value())]
    for _ in range(draw(st.sampled_from((0, 0, 1, 2)))):
        at = at + timedelta(days=draw(st.sampled_from((1, 10, 35, 200))))
        last = replace(out[-1], known=at, value=draw(st.sampled_from((value(), None))))
        if person is not None:
            last = replace(last, household=draw(st.sampled_from((household, household, *HOUSEHOLDS))))
        if record is not None and draw(st.booleans()):
            last = replace(last, event=draw(DAYS))
        out.append(replace(last, until=until(last.event)))
    return out


@st.composite
def versions(draw: st.DrawFn, most: int = 30, prefix: str = "") -> list[Version]:
    """Facts of households and their people over 33 months: numbered and natural, corrected, moved, ended, told late."""
    out = []
    for h in draw(st.sets(st.sampled_from(HOUSEHOLDS), min_size=1)):
        out.append(Version(h, None, "asked", None, START, None, START, 1))
        out.append(Version(h, None, "place", None, START, None, START, draw(st.sampled_from(PLACES))))
        out.append(Version(h, None, "level", None, START, None, START, draw(st.integers(-3, 9))))
    homes = {p: draw(st.sampled_from(HOUSEHOLDS)) for p in PEOPLE}
    for p in PEOPLE:
        if draw(st.booleans()):
            born = Version(homes[p], p, "member", None, START, None, START, 1)
            out.append(born)
            for i in range(draw(st.sampled_from((0, 0, 1, 2)))):
                out += draw(told(draw(st.sampled_from(HOUSEHOLDS)), p, "member", f"{prefix}m{p}{i}"))
    for i in range(draw(st.integers(0, most))):
        indicator = draw(st.sampled_from(tuple(KINDS)))
        person = draw(st.sampled_from(PEOPLE)) if KINDS[indicator] else None
        own = homes[person] if person else draw(st.sampled_from(HOUSEHOLDS))
        household = draw(st.sampled_from((own, own, own, *HOUSEHOLDS))) if person else own
        out += draw(told(household, person, indicator, f"{prefix}{i}"))
    return sound([*out, *draw(bulk())])


@st.composite
def bulk(draw: st.DrawFn) -> list[Version]:
    """Enough records of what departments usually tell, with months that never came and months that came late."""
    out = []
    for indicator in draw(st.sets(st.sampled_from(("paid", "fee", "poor", "level")))):
        each = draw(st.sampled_from((2, 6)))
        from_, to = draw(st.sampled_from((-24, 0))), draw(st.integers(20, 36))
        missing, late = (draw(st.sets(st.integers(from_, to), max_size=4)) for _ in range(2))
        for m in range(from_, to + 1):
            if m not in missing:
                at = day_in(FIRST + m + (5 if m in late else 0), 31)
                person = "v" if KINDS[indicator] else None
                for day in range(2, 2 + each):
                    out.append(
                        Version(FULL, person, indicator, None, day_in(FIRST + m, day), None, at, m % 3 + day % 2)
                    )
    if draw(st.booleans()):
        out.append(Version(FULL, None, "asked", None, START, None, START, 1))
    return out


def sound(facts: Iterable[Version]) -> list[Version]:
    """What a ledger may hold and the definitions decide: no two versions of a fact known on one day."""
    seen: set[tuple[object, ...]] = set()
    out = []
    for v in facts:
        keys: set[tuple[object, ...]] = {(v.fact, v.known)}
        if keys & seen or alike(v, out):
            continue
        seen |= keys
        out.append(v)
    return out


def alike(v: Version, among: Sequence[Version]) -> bool:
    """Whether another fact says that the same person was in the same household from the same day."""
    return v.indicator == "member" and any(
        (o.indicator, o.person, o.event, o.household) == (v.indicator, v.person, v.event, v.household)
        and o.fact != v.fact
        for o in among
    )


def as_table(facts: Sequence[Version], catalogue: Catalogue) -> pa.Table:
    """Rows of the ledger, with the keys of their facts."""
    rows = [
        {
            "household_id": v.household,
            "person_id": v.person,
            "indicator": v.indicator,
            "record_id": v.record,
            "event_date": v.event,
            "until_date": v.until,
            "known_date": v.known,
            "value": v.value,
            "department": catalogue.indicators[v.indicator].department,
            "delivery": "test",
        }
        for v in facts
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema([f for f in SCHEMA if f.name not in ("shard", "fact")]))
    return table.append_column("fact", pa.array(fact_keys(table), pa.int64()))


@dataclass(frozen=True)
class Parts:
    """Stands in for a ledger: a table in shards."""

    table: pa.Table
    shards: int
    tells_of_people: bool = True

    def shard(self, number: int, columns: Sequence[str] = features.COLUMNS) -> pa.Table:
        mine = shard_of(self.table["household_id"], self.shards) == number
        return self.table.filter(pa.array(mine, pa.bool_())).select(list(columns))


def worked_out(
    facts: Sequence[Version], catalogue: Catalogue, as_ofs: Iterable[AsOf], *, shards: int = 1, **asked: object
) -> pa.Table:
    """The histories of these facts, in so many shards."""
    return of_ledger(Parts(as_table(facts, catalogue), shards), catalogue, Asked(tuple(as_ofs), **asked))  # type: ignore[arg-type]


def of_ledger(ledger: Ledger | Parts, catalogue: Catalogue, asked: Asked) -> pa.Table:
    ties = linked(ledger, features.COLUMNS, features.one_by_one)  # type: ignore[arg-type]
    return histories(ledger.shard, ledger.shards, catalogue, asked, linked=ties).combine_chunks()


def in_order(facts: Sequence[Version]) -> list[str]:
    """The households told of, in the order in which they stand."""
    words = pa.array(sorted({v.household for v in facts}), pa.string())
    return [str(words[int(i)]) for i in household_order(words)]


def same(got: float | int | None, want: float | int | None, size: float) -> bool:
    """Whole numbers exactly; floats to within what their rounding may come to."""
    if got is None or want is None or isinstance(got, int):
        return got == want
    return got == pytest.approx(want, rel=1e-9, abs=1e-9 * size)


AS_OFS = st.lists(st.integers(0, 40), min_size=1, max_size=3, unique=True).map(
    lambda months: [AsOf(FIRST + m) for m in months]
)


@settings(FEW, max_examples=25)
@given(facts=versions(), as_ofs=AS_OFS, shards=st.sampled_from((1, 3)))
def test_every_feature_equals_the_plain_loops(
    facts: list[Version], as_ofs: list[AsOf], shards: int, catalogue: Catalogue
) -> None:
    table = worked_out(facts, catalogue, as_ofs, shards=shards)
    order = in_order(facts)
    then = {a.date: oracle.known(facts, a.date, catalogue, order) for a in as_ofs}
    watched = {day: oracle.watched(k, order) for day, k in then.items()}
    rows = list(zip(table["household_id"].to_pylist(), table["as_of"].to_pylist(), strict=True))
    assert rows == [(h, day) for h in order for day in sorted(then) if h in watched[day]]
    size = max(abs(v.value or 1) for v in facts)
    for name, f in catalogue.features.items():
        for (household, day), got in zip(rows, table[name].to_pylist(), strict=True):
            want = oracle.feature(then[day], household, f)
            assert same(got, want, size), f"{name} of {household} at {day}: {got}, by the definitions {want}"
    for name, c in catalogue.coverage.items():
        for (_, day), got in zip(rows, table[name].to_pylist(), strict=True):
            want = oracle.coverage(then[day], c.department, c.window)
            assert same(got, want, 1), f"{name} at {day}: {got}, by the definitions {want}"


@settings(FEW, max_examples=40)
@given(facts=versions(), as_ofs=AS_OFS, shards=st.sampled_from((1, 3)))
def test_context_is_the_mean_of_the_other_households_of_the_place(
    facts: list[Version], as_ofs: list[AsOf], shards: int, catalogue: Catalogue
) -> None:
    table = worked_out(facts, catalogue, as_ofs, shards=shards, names=("near", "town", "change", "share", "earlier"))
    order, size = in_order(facts), max(abs(v.value or 1) for v in facts)
    for day in {*table["as_of"].to_pylist()}:
        now = table.filter(pa.array([d == day for d in table["as_of"].to_pylist()])).to_pylist()
        k = oracle.known(facts, day, catalogue, order)
        households = [row["household_id"] for row in now]

        def each(name: str, k: oracle.Known = k, households: list[str] = households) -> list[float | None]:
            return [oracle.natural(k, h, name) for h in households]

        places = [p if p is None else int(p) for p in each("place__last__ever")]
        level, before = each("level__last__ever"), each("level__last__12m")
        for i, row in enumerate(now):
            assert same(row["near"], oracle.neighbours_mean(level, places, i, 4), size)
            assert same(row["town"], oracle.neighbours_mean(each("paid__sum__12m"), places, i, 2), size)
            assert same(row["change"], minus(level[i], before[i]), size)
            for name in ("share", "earlier"):
                assert same(row[name], oracle.ratio(k, households[i], catalogue.derived[name]), size)


def minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


@st.composite
def histories_and_later(draw: st.DrawFn) -> tuple[list[Version], list[AsOf], list[Version]]:
    """Facts, as-ofs, and what becomes known after the last of these: new facts, and new versions of the old ones."""
    facts, as_ofs = draw(versions(most=20)), draw(AS_OFS)
    again = [
        replace(v, value=draw(st.sampled_from((None, v.value))), household=draw(st.sampled_from(HOUSEHOLDS)))
        if v.person
        else replace(v, value=draw(st.sampled_from((None, 7))))
        for v in draw(st.lists(st.sampled_from(facts), max_size=15))
    ]
    new = draw(versions(most=10, prefix="later"))
    first = max(as_ofs).date + timedelta(days=draw(st.sampled_from((1, 40))))
    return facts, as_ofs, [replace(v, known=first + timedelta(days=i)) for i, v in enumerate([*again, *new])]


@FEW
@given(drawn=histories_and_later(), shards=st.sampled_from((1, 3)))
def test_nothing_known_later_changes_a_history(
    drawn: tuple[list[Version], list[AsOf], list[Version]], shards: int, catalogue: Catalogue
) -> None:
    facts, as_ofs, later = drawn
    before = worked_out(facts, catalogue, as_ofs, shards=shards)
    assert worked_out([*later, *facts], catalogue, as_ofs, shards=shards).equals(before)


@FEW
@given(facts=versions(), as_ofs=AS_OFS)
def test_many_as_ofs_at_once_equal_one_at_a_time(
    facts: list[Version], as_ofs: list[AsOf], catalogue: Catalogue
) -> None:
    together = worked_out(facts, catalogue, as_ofs)
    for a in as_ofs:
        of_one = together.filter(pa.array([day == a.date for day in together["as_of"].to_pylist()], pa.bool_()))
        assert worked_out(facts, catalogue, [a]).equals(of_one.combine_chunks())


@FEW
@given(facts=versions(), as_ofs=AS_OFS, order=st.randoms(use_true_random=False), shards=st.integers(2, 6))
def test_order_of_rows_and_number_of_shards_change_nothing(
    facts: list[Version], as_ofs: list[AsOf], order: Random, shards: int, catalogue: Catalogue
) -> None:
    shuffled = list(facts)
    order.shuffle(shuffled)
    assert worked_out(shuffled, catalogue, as_ofs, shards=shards).equals(worked_out(facts, catalogue, as_ofs))


@FEW
@given(facts=versions(), as_ofs=AS_OFS, shards=st.sampled_from((1, 3)), data=st.data())
def test_a_few_rows_and_features_are_what_they_are_among_all(
    facts: list[Version], as_ofs: list[AsOf], shards: int, data: st.DataObject, catalogue: Catalogue
) -> None:
    whole = worked_out(facts, catalogue, as_ofs, shards=shards)
    names = tuple(data.draw(st.lists(st.sampled_from(catalogue.names()), max_size=8, unique=True)))
    names += tuple(data.draw(st.sets(st.sampled_from(("near", "town", "change", "share")))))
    names = tuple(dict.fromkeys(names))
    of_names = worked_out(facts, catalogue, as_ofs, shards=shards, names=names)
    assert of_names.equals(whole.select([*features.KEY, *names]).combine_chunks())
    chosen = sorted(data.draw(st.sets(st.integers(0, whole.num_rows - 1)))) if whole.num_rows else []
    unwatched = pa.table({"household_id": ["nobody"], "as_of": pa.array([as_ofs[0].date], pa.date32())})
    sample = pa.concat_tables([whole.select(features.KEY).take(pa.array(chosen[::-1], pa.int64())), unwatched])
    some = worked_out(facts, catalogue, as_ofs, shards=shards, names=names, rows=sample)
    assert some.equals(of_names.take(pa.array(chosen, pa.int64())).combine_chunks())


@settings(FEW, max_examples=2)
@given(facts=versions(), as_ofs=AS_OFS, deliveries=st.integers(2, 3))
def test_the_ledger_gives_back_what_it_was_given_and_merging_its_files_changes_nothing(
    facts: list[Version],
    as_ofs: list[AsOf],
    deliveries: int,
    tmp_path_factory: pytest.TempPathFactory,
    catalogue: Catalogue,
) -> None:
    folder, table = tmp_path_factory.mktemp("ledger"), as_table(facts, catalogue)
    ledger = Ledger(folder / "t", shards=3)
    for i in range(deliveries):
        part = table.drop_columns(["fact"]).take(pa.array(range(i, table.num_rows, deliveries), pa.int64()))
        assert ledger.append(part, f"delivery {i}")
        assert not ledger.append(part, f"delivery {i}")

    def rows(t: pa.Table) -> list[tuple[str, ...]]:
        return sorted(tuple(map(str, row.values())) for row in t.select(table.column_names).to_pylist())

    assert rows(ledger.everything()) == rows(table)
    before = of_ledger(ledger, catalogue, Asked(tuple(as_ofs)))
    assert before.equals(worked_out(facts, catalogue, as_ofs))
    assert ledger.compact(most=1) > 0
    assert rows(ledger.everything()) == rows(table)
    assert of_ledger(Ledger(folder / "t"), catalogue, Asked(tuple(as_ofs))).equals(before)
