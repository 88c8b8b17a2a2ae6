"""Writes the README's table of figures from benchmarks/results/.

python benchmarks/table.py
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->"


def lines() -> Iterator[tuple[str, str]]:
    """What was measured, and the figure."""
    county, ledger, histories = (_read(n) for n in ("county", "ledger", "histories"))
    if histories:
        for as_ofs, ran in histories["as_ofs"].items():
            best = min((w for w in ran if w != "fpml"), key=lambda w: ran[w]["times_ours"])
            yield (
                f"3.84 M records, {as_ofs} as-ofs, 180 features: ledger to columns",
                f"{ran['fpml']['median_seconds']:.2f} s; the best of the peers ({best}) "
                f"{ran[best]['times_ours']:.1f} times as long",
            )
    if "one_as_of" in county:
        one = county["one_as_of"]
        size = (
            f"{county['households']:,} households, {county['records'] / 1e6:.0f} M records, {one['features']} features"
        )
        yield f"{size}: one as-of", f"{one['median_seconds']:.1f} s, peak {one['peak_mb'] / 1000:.1f} GB"
    if "training" in county:
        t = county["training"]
        yield (
            f"the same, 24 as-ofs for training ({t['rows']:,} rows)",
            f"{t['median_seconds']:.0f} s, peak {t['peak_mb'] / 1000:.1f} GB",
        )
    if ledger:
        a, k = ledger["append"], ledger["killed"]
        yield (
            f"a month of {a['rows'] / 1e6:.2f} M rows compared with what is known, appended (with reading, checking)",
            f"{a['median_appended_seconds']:.1f} s ({a['median_whole_seconds']:.1f} s), "
            f"peak {a['peak_mb'] / 1000:.1f} GB",
        )
        yield f"killed at {k['kills']} instants, taken in again", f"same bytes {k['same_bytes_after_the_rerun']} times"


def taken_in() -> Iterator[tuple[str, str]]:
    """What taking in departments' files took."""
    told = _read("intake")
    if "county" in told:
        m = told["county"]["month"]
        size = f"{told['county']['households']:,} households, {m['rows'] / 1e6:.2f} M rows in {m['files']} files"
        yield (
            f"`fpml intake`: a month of messy files, {size} ({m['workbooks']} workbooks)",
            f"{m['seconds']:.0f} s, peak {m['peak_mb'] / 1000:.1f} GB",
        )
    if "province" in told:
        p = told["province"]
        yield (
            f"`fpml intake`: {p['rows'] / 1e6:.0f} M canonical records in one file",
            f"{p['seconds'] / 60:.1f} min, peak {p['peak_mb'] / 1000:.1f} GB",
        )


def reviewed() -> Iterator[tuple[str, str]]:
    """What reviews took, and whether their intervals hold."""
    told = _read("review")
    if "warm" in told:
        size = f"{told['households']:,} households, {told['months']} months, {told['draws']} draws"
        for kind, what in (("warm", "months looked at before"), ("cold", "from the ledger, every month scored")):
            t = told[kind]
            further = max(t["further"].values())
            yield (
                f"what-if, {size}: first answer, {what}",
                f"{t['first_answer']:.1f} s, further ones {further:.1f} s, peak {t['peak_mb'] / 1000:.1f} GB",
            )
        page = told["page"]
        yield (
            "`fpml review`, the same months: the page, 500 draws",
            f"{page['seconds']:.0f} s, {page['page_mb']:.1f} MB",
        )
    ours = [row["coverage"] for row in _read("intervals").get("rows", []) if row["interval"] == "fpml"]
    if ours:
        yield (
            "95 % intervals of found, lead, precision: 1,000 light counties each of 17, 40 and 120 villages",
            f"{min(ours):.1%} to {max(ours):.1%} of them hold the true value",
        )


def sent_out() -> Iterator[tuple[str, str]]:
    """What writing villages' lists and taking them in took."""
    told = _read("lists")
    if told:
        w, t = told["written"], told["taken"]
        busy = f"beside other work ({max(w['processor_seconds']):.0f} s of processor time)"
        yield (
            f"workbooks of {w['listed']:,} listed households in {w['villages']} villages, summaries, CSV and JSON",
            f"{max(w['seconds']):.0f} s {busy}, peak {w['peak_mb'] / 1000:.1f} GB a process, {w['megabytes']:.0f} MB",
        )
        yield (
            f"`fpml verify`: {t['workbooks']} filled-in workbooks, {t['rows']:,} rows (without the ledger's part)",
            f"{t['seconds'][0]:.0f} s, peak {t['peak_mb'] / 1000:.1f} GB",
        )


def published() -> Iterator[tuple[str, str]]:
    """What a month took, and what is left of one that is killed."""
    for name in ("month", "month-small"):
        told = _read(name)
        if m := told.get("month"):
            parts = ", ".join(f"{stage} {s['seconds']:.1f}" for stage, s in m["stages"].items() if s["seconds"] >= 0.05)
            size = f"{m['households'] or 0:,} households, {m['ledger_rows'] / 1e6:.0f} M records"
            yield (
                f"`fpml month`: {size} ({parts} s)",
                f"{m['seconds']:.1f} s, peak {m['peak_mb'] / 1000:.1f} GB; again {m['again_seconds']:.1f} s, "
                f"replay {m['replay_seconds']:.1f} s",
            )
        if k := told.get("killed"):
            yield (
                f"`fpml month` killed at {k['killed']} instants, a reader looking {k['looked']:,} times; run again",
                f"half a month seen {k['half_seen']} times; same bytes {k['same_bytes'] - k['ended_before']} times",
            )


def over_months_and_machines() -> Iterator[tuple[str, str]]:
    """What many months come to, what a province takes, and what Spark costs."""
    if m := _read("months"):
        yield (
            f"{m['months']} months in a row, {m['households']:,} households, corrections and late departments; "
            f"{m['editions']} editions replayed",
            f"{m['editions'] - len(m['not_equal'])} equal byte for byte",
        )
    if told := _read("province"):
        c = told["curve"][-1]
        yield (
            f"a province, its counties two at a time on one machine: {c['households'] / 1e6:.1f} M households in "
            f"{c['counties']} counties, histories to lists ({c['listed']:,} listed)",
            f"{c['seconds'] / 60:.1f} min, peak {c['peak_mb'] / 1000:.1f} GB; 8 M by proportion, not run: "
            f"{told['eight_million_minutes_by_proportion']:.0f} min",
        )
    for households, told in _read("spark").get("households", {}).items():
        over = {n: e["over_threads"]["warm"] for n, e in told["engines"].items()}
        yield (
            f"a month on Spark, {int(households):,} households, two cores beside other work: same bytes",
            f"`local[2]` {over['local[2]']['ratio']:.1f} times this process's threads, two workers "
            f"{over['two workers']['ratio']:.1f}; one killed: {told['seconds_lost']:.1f} s more",
        )


def learnt() -> Iterator[tuple[str, str]]:
    """What learning takes in a county."""
    told = _read("risk")
    models = f"{len(told['trained']['learnt'])} models" if "trained" in told else "models"
    for part, what in (("trained", f"{models} trained, every horizon"), ("tested", f"backtest of {models}")):
        if t := told.get(part):
            origins = f", {t['origins']} monthly origins to {t['last']}" if part == "tested" else ""
            size = f"{told['households']:,} households, {told['as_ofs']} months"
            yield (
                f"{what}{origins} (simulated: {size}; labels of a year later are there for part of them)"
                if origins
                else f"{what} (simulated: {size})",
                f"{t['seconds'] / 60:.1f} min, peak {t['peak_mb'] / 1000:.1f} GB",
            )


def reasons() -> Iterator[tuple[str, str]]:
    """How often the planted cause is named first, and what reasons take."""
    for name, profile in (("reasons", "Jiangxi"), ("reasons-baoshan", "Baoshan")):
        if c := (told := _read(name)).get("causes"):
            size = f"{len(told['county_by_county'])} counties as in {profile}, {c['households']} households"
            beside = f"chance {c['chance']:.0%}, the indicator with the largest z {c['largest_z']:.0%}"
            yield (
                f"the one planted cause of a listed household named first (simulated: {size})",
                f"{c['named_first']:.0%}; {beside}",
            )
    if t := _read("reasons-time").get("time"):
        yield (
            f"reasons of {t['listed']:,} listed of {t['households']:,} households",
            f"{t['reasons_seconds']:.1f} s, peak {t['peak_mb'] / 1000:.1f} GB",
        )


def in_the_loop() -> Iterator[tuple[str, str]]:
    """Two years of lists, cadres and models, way by way."""
    for told in (_read("loop"), _read("loop-finds-12")):
        for seed, ways in told.get("seeds", {}).items():
            for name, w in ways.items():
                size = f"{told['households']:,} households, {told['months']} months, seed {seed}"
                yield (
                    f"closed loop (simulated: {size}): {name}",
                    f"{w['falls']} falls, {w['share_found']:.0%} found, {w['missed']} missed, lead {w['lead']:.1f} "
                    f"months, {w['visits'] + w['audit_visits']:,} visits",
                )


def ceilings() -> Iterator[tuple[str, str]]:
    """How near ours comes to what the records allow, and whether its probabilities hold, over several counties."""
    if not (RESULTS / "ceiling.json").is_file():
        return
    told = _read("ceiling")
    households = told["asked"]["households"]
    for way in told["ceiling"]:
        if way["kind"] == "fall":
            share = f"{way['share']:.0%} [{way['share_low']:.0%}, {way['share_high']:.0%}]"
            size = f"{way['number']} counties of {households:,} households, {way['outcome']}, {way['events']:,}"
            yield (
                f"average precision on falls within six months (simulated: {size})",
                f"best single ranking {way['of_single']:.3f}, fpml {way['ours']:.3f}, learnt from ten times the "
                f"households {way['ceiling']:.3f}: {share} of the way",
            )
    ours = [c for c in told["calibration"] if (c["method"], c["kind"]) == ("fpml", "fall")]
    each = (f"{c['outcome']} {c['horizon']} m: {c['ratio']:.2f} {c['verdict']}" for c in ours)
    size = f"{ours[0]['number']} counties of {households:,} households"
    yield f"expected over observed falls (simulated: {size})", "; ".join(each)


def over_the_grid() -> Iterator[tuple[str, str]]:
    """Found by ours beside the rules, county by county of the frozen grid."""
    for path in sorted(RESULTS.glob("grid-[0-9].json")):
        told = _read(path.stem)
        cell, rule = told["cell"], next(r for r in told["rules"] if r["rule"] == "any rule that pushes")
        finds = f", rules tuned to {cell['rules_find']:.0f} %" if cell["rules_find"] else ""
        rate = f"base rate {cell['base_rate']} % a year, precursors {cell['precursors']}{finds}"
        county = f"{told['households']:,} households, {cell['profile']}, {rate}"
        ratio = f"{rule['ratio']:.2f} [{rule['ratio_low']:.2f}, {rule['ratio_high']:.2f}]"
        share = told["oracles"]["share_of_gain"]
        # Without `visits` it was counted on a sample alone, too coarse to be told.
        told_of = share > 0 and "visits" in told["oracles"]
        oracle = f"; {share:.0%} of the way to the observable oracle" if told_of else ""
        yield (
            f"found at the rules' own visits (simulated: {county}, looking {cell['looking']}; {rule['falls']} falls)",
            f"rules {rule['found']:.0%}, fpml {rule['found_ours']:.0%}, ratio {ratio}, "
            f"{rule['lead_gain']:+.1f} months of lead{oracle}",
        )


def audited() -> Iterator[tuple[str, str]]:
    """How often the audit's intervals hold the county's own recall."""
    if told := _read("audit"):
        held = {k: [r["coverage"] for r in told["rows"] if r["interval"] == k] for k in ("fpml", "Wald")}
        yield (
            f"audit: 95 % intervals of the yearly recall, {told['replicates']:,} light counties each of "
            f"{len(held['fpml'])} kinds",
            f"{min(held['fpml']):.1%} to {max(held['fpml']):.1%} of them hold the county's own "
            f"(Wald's: {min(held['Wald']):.1%} to {max(held['Wald']):.1%})",
        )


def grown() -> Iterator[tuple[str, str]]:
    """What growing simulated counties took."""
    for case, g in _read("simulate").items():
        if isinstance(g, dict) and "households" in g:
            form = "records" if g["style"] == "records" else f"{g['style']} files"
            yield (
                f"`fpml simulate`: {g['households']:,} households, {g['months']} months, {form} ({case})",
                f"{g['seconds'] / 60:.1f} min, peak {g['peak_mb'] / 1000:.1f} GB, {g['delivered_gb']:.1f} GB delivered",
            )


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def main() -> None:
    """Rewrites the README between its two marks."""
    every = (
        *lines(),
        *taken_in(),
        *sent_out(),
        *published(),
        *over_months_and_machines(),
        *learnt(),
        *reasons(),
        *in_the_loop(),
        *reviewed(),
        *audited(),
        *ceilings(),
        *over_the_grid(),
        *grown(),
    )
    rows = "".join(f"| {what} | {figure} |\n" for what, figure in every)
    table = f"| what | figure |\n|---|---|\n{rows}"
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + table + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
