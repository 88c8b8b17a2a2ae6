"""DuckDB: one query by place for each as-of, 5.0 s.

Also tried: one query of all as-ofs, joined to a list of months, 13.4 s; 180 conditional aggregations by household,
1.5 s and more for a single as-of; conditional aggregations by household and indicator, turned to columns by a second
aggregation, twice as long as the 180 on a tenth of the events.
"""

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from peers import INDICATORS, laid_out


def tables(path: str, as_ofs: Sequence[int]) -> Iterator[tuple[int, pa.Table]]:
    """Each as-of with its table."""
    con = duckdb.connect()
    con.execute("set preserve_insertion_order = false")
    con.execute(
        "create table told as select household_id::varchar household_id, substr(indicator, 5)::integer indicator, "
        f"{_month('event_date')} event, {_month('known_date')} known, value from read_parquet($path)",
        {"path": path},
    )
    con.execute(
        "create table homes as select household_id, (row_number() over () - 1)::integer home "
        "from (select distinct household_id from told)"
    )
    households = con.sql("select household_id from homes order by home").to_arrow_table()["household_id"]
    homes, each = len(households), len(households) * len(INDICATORS)
    con.execute(
        f"create table events as select indicator * {homes} + home place, event, known, value "
        "from told join homes using (household_id)"
    )
    for t in as_ofs:
        groups = con.execute(
            f"select place + ((event <= {t - 3})::integer + (event <= {t - 6})::integer) * {each} place, "
            "sum(value)::bigint sum, count(*)::integer count, max(value) max "
            f"from events where known <= {t} and event <= {t} and event > {t - 12} group by 1"
        ).fetchnumpy()
        yield t, pa.table({"household_id": households, **laid_out(groups.pop("place"), groups, homes)})
    con.close()


def _month(name: str) -> str:
    return f"(year({name}) * 12 + month({name}) - 1)::smallint"
