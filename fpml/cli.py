"""Arguments -> verbs; errors -> one line and an exit status."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from fpml import cli_audit, cli_batch, cli_models, cli_visits, review
from fpml.audit import COLUMNS, read_audit
from fpml.catalogue import Language, read_proposals
from fpml.county import County, open_county
from fpml.dates import AsOf
from fpml.engine import engine_of
from fpml.errors import EXIT_DONE, EXIT_OURS, FpmlError, InputError, UsageError, disk, place_of
from fpml.intake import Receipt
from fpml.lookback import MONTHS, TIMES
from fpml.progress import silent
from fpml.screen import Screen
from fpml.simulate import Dials, Foresight, Plan, Style, load_profile
from fpml.workspace import init

ERRORS = Console(stderr=True, soft_wrap=True)
SCREEN = Screen(ERRORS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 done, 2 usage, 3 bad input, 4 nothing to do yet, 5 our fault."""
    arguments = _parser().parse_args(argv)
    try:
        with SCREEN, disk(f"fpml {arguments.command}"), cli_batch.recorded(arguments) as status:
            status.append(arguments.run(arguments) or EXIT_DONE)
            return status[0]
    except FpmlError as e:
        ERRORS.print(str(e), markup=False, highlight=False, style="red")
        return e.exit_code
    except Exception as e:
        # The message of an unforeseen error could hold a household's data: only its kind and place are shown.
        said = f"fpml: a fault of ours ({type(e).__name__} at {place_of(e)}). Please report it."
        ERRORS.print(said, style="red")
        return EXIT_OURS


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--workspace", default=".", metavar="DIR", help="the workspace (default: here)")
    shared.add_argument("--lang", choices=("zh", "en"), help="language of lists (default: the county's)")
    shared.add_argument("--quiet", action="store_true", help="no progress")
    shared.add_argument("--json", action="store_true", help="the answer as JSON")
    parser = argparse.ArgumentParser(
        prog="fpml", description="Early warning for households about to fall into poverty."
    )
    scaled = argparse.ArgumentParser(add_help=False)
    said = "who works on the shards: this process, or Spark (docs/scale.md); the list is the same"
    scaled.add_argument("--engine", choices=("local", "spark"), default="local", help=said)
    said = "Spark's: local[2], spark://HOST:7077 or sc://HOST:15002 (default: all of this machine)"
    scaled.add_argument("--master", metavar="URL", help=said)
    said = "an object store in which Spark's executors find the ledger, s3://BUCKET/FOLDER; it is brought up to date"
    scaled.add_argument("--ledger-copy", metavar="URL", help=said)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, said: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=said, description=said, parents=[shared, *more])
        sub.set_defaults(run=run, command=name)
        return sub

    sub = command("init", _init, "a new workspace with the default policy profile")
    sub.add_argument("folder", metavar="DIR")
    said = "what ID numbers become pseudonyms with, if the workspace has no key yet (default: sha256)"
    sub.add_argument("--hash", choices=("sha256", "sm3"), default="sha256", help=said)
    sub = command("simulate", _simulate, "a county with known truth, as its departments would deliver it")
    sub.add_argument("--households", type=int, default=5_000, metavar="N", help="default: 5000")
    sub.add_argument("--months", type=int, default=36, metavar="M", help="default: 36")
    sub.add_argument("--seed", type=int, default=1, metavar="S", help="default: 1")
    sub.add_argument("--first", default="2021-01", metavar="YYYY-MM", help="the first month told of (default: 2021-01)")
    sub.add_argument("--profile", default="jiangxi", metavar="NAME", help="the kind of county: jiangxi, baoshan")
    said = "records: one file a month as `fpml intake` reads it; clean, messy: the departments' own files"
    sub.add_argument("--style", type=Style, choices=list(Style), default=Style.RECORDS, help=said)
    sub.add_argument("--base-rate", type=float, metavar="%%", help="falls wanted, per cent of households a year")
    sub.add_argument("--rules-find", type=float, metavar="%%", help="share of falls that rules are to see before")
    sub.add_argument("--precursors", choices=("absent", "weak", "strong"), default="strong")
    sub.add_argument("--looking", choices=("selective", "random"), default="selective", help="who is visited")
    said = "also roll the future out at these as-ofs (the two oracles)"
    sub.add_argument("--oracles", nargs="+", default=[], metavar="YYYY-MM", help=said)
    sub.add_argument("--roll-outs", type=int, default=200, metavar="N", help="how often (default: 200)")
    sub.add_argument("--no-help", action="store_true", help="nobody who is found is helped")
    sub = command("intake", _intake, "deliveries -> ledger; refused rows to quarantine, with the reason")
    sub.add_argument("files", nargs="*", metavar="FILE", help="default: all in data/deliveries")
    sub = command("train", _train, "fit, calibrate, register; logged in MLflow")
    sub.add_argument("models", nargs="*", metavar="MODEL", help="default: all in models/")
    sub.add_argument("--as-of", required=True, metavar="YYYY-MM", help="learn only what was known by then")
    sub = command("tune", _tune, "try trees' parameters, judged inside labels that had matured; resumable")
    sub.add_argument("model", metavar="MODEL")
    said = "judge only by labels known by then (default: the last as-of); report later origins alone"
    sub.add_argument("--as-of", metavar="YYYY-MM", help=said)
    sub.add_argument("--origins", type=int, default=3, metavar="N", help="forward in time from so many (default: 3)")
    sub.add_argument("--budget", type=float, metavar="MINUTES", help="begin no trial that would end later")
    sub.add_argument("--trials", type=int, metavar="N", help="until so many have been made, earlier runs' among them")
    sub.add_argument("--write", action="store_true", help="put the best into models/MODEL.yaml")
    sub = command("backtest", _backtest, "every method at the same visits, forward in time")
    sub.add_argument("models", nargs="*", metavar="MODEL")
    sub.add_argument("--first", metavar="YYYY-MM", help="the first origin")
    sub.add_argument("--last", metavar="YYYY-MM", help="the last origin")
    sub.add_argument("--draws", type=int, default=200, metavar="N", help="villages are drawn so often (200)")
    sub = command("worth", _worth, "what months of history and each department's data are worth to the ranking")
    sub.add_argument("models", nargs="*", metavar="MODEL")
    sub.add_argument("--last", metavar="YYYY-MM", help="labels known by then (default: the last as-of)")
    sub.add_argument("--origins", type=int, default=2, metavar="N", help="learnt at so many origins (default: 2)")
    sub.add_argument("--draws", type=int, default=200, metavar="N", help="villages are drawn so often (200)")
    sub = command("challenge", _challenge, "whether another definition is to take a model's place")
    sub.add_argument("model", metavar="MODEL")
    sub.add_argument("definition", type=Path, metavar="FILE", help="the challenger, as models/*.yaml")
    sub.add_argument("--last", metavar="YYYY-MM", help="labels known by then are judged by")
    sub.add_argument("--promote", action="store_true", help="if it is, it takes the place")
    sub = command(
        "month", _month, "the monthly batch: intake, histories, hits, scores, reasons, lists; safe to run again", scaled
    )
    sub.add_argument("as_of", metavar="YYYY-MM", help="or `last`: the month before this one")
    sub.add_argument("--review", action="store_true", help="also the review of twelve months (takes longer than all)")
    sub = command("replay", _replay, "a published month's list again, from what was known then: equal, or not", scaled)
    sub.add_argument("as_of", metavar="YYYY-MM")
    sub.add_argument("--edition", type=int, metavar="N", help="default: the newest")
    sub = command(
        "verify", _verify, "cadres' filled-in lists -> verifications; refused rows into a workbook to send back"
    )
    sub.add_argument("files", nargs="+", metavar="FILE")
    sub.add_argument(
        "--received", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the day they came (default: today)"
    )
    sub = command("procedure", _procedure, "the steps that listed households have reached, and which are overdue")
    sub.add_argument("--day", type=date.fromisoformat, metavar="YYYY-MM-DD", help="as it stood then (default: today)")
    sub = command("review", _review, "model hits held against rule hits: a page, the same as JSON, and what-if")
    sub.add_argument("as_of", metavar="YYYY-MM", help="the last month looked at")
    sub.add_argument("--months", type=int, default=MONTHS, metavar="N", help=f"so many as-ofs up to it ({MONTHS})")
    sub.add_argument("--what-if", metavar="FILE", help="proposals as in policy/review.yaml: only these are answered")
    sub.add_argument("--audit", metavar="FILE", help=f"CSV: {', '.join(COLUMNS)}")
    sub.add_argument("--draws", type=int, default=TIMES, metavar="N", help=f"villages are drawn so often ({TIMES})")
    cli_audit.add(command("audit", _audit, "how many falls no list had: plan, draw, check and estimate a yearly audit"))
    sub = command("explain", _explain, "one household's history, hits, score and reasons")
    sub.add_argument("household", metavar="HOUSEHOLD")
    sub.add_argument("--as-of", required=True, metavar="YYYY-MM")
    command("status", _status, "what has come in, what is late, what was published, how models are doing")
    sub = command("record", _record, "who ran, published, replayed and read what; --verify: whether it is whole")
    sub.add_argument(
        "--verify", action="store_true", help="look through the whole chain; exit status 3 if it is broken"
    )
    sub.add_argument("--noted", metavar="HASH", help="with --verify: a last line's hash that was noted before")
    return parser


def _open(a: argparse.Namespace) -> County:
    engine = engine_of(a.engine, a.master, a.ledger_copy) if hasattr(a, "engine") else None
    return open_county(a.workspace, progress=silent if a.quiet else SCREEN.show, engine=engine)


def _say(a: argparse.Namespace, answer: Any, words: Any, *, wide: bool = False) -> None:
    """The answer for a program, or for a person; `wide` for tables that a file or a pipe should not fold."""
    SCREEN.clear()
    if a.json:
        print(json.dumps(answer, ensure_ascii=False, indent=1, default=str))
    else:
        width = 130 if wide and not sys.stdout.isatty() else None
        console = Console(soft_wrap=isinstance(words, str), width=width)
        console.print(words, highlight=False, markup=not isinstance(words, str))


def _init(a: argparse.Namespace) -> None:
    made = init(Path(a.folder), key_hash=a.hash)
    _say(
        a,
        {"workspace": str(made.root)},
        f"A workspace lies in {made.root}. Put a copy of its key, {made.key}, into a safe.\n"
        f"Next: look through {made.policy}/county.yaml, put the departments' files into {made.deliveries}, and run\n"
        f"fpml intake --workspace {made.root}",
    )


def _simulate(a: argparse.Namespace) -> None:
    county = _open(a)
    dials = Dials(
        base_rate=a.base_rate, rules_find=a.rules_find, precursors=a.precursors, looking=a.looking, help=not a.no_help
    )
    profile = load_profile(a.profile, dials)
    plan = Plan(profile, a.households, first=AsOf.parse(a.first), months=a.months, seed=a.seed)
    county.simulate(plan, style=a.style)
    if a.oracles:
        county.foresee(plan, Foresight(tuple(AsOf.parse(o) for o in a.oracles), a.roll_outs))
    space = county.workspace
    answer = {
        "deliveries": str(space.deliveries),
        "truth": str(space.truth),
        "households": a.households,
        "seed": a.seed,
    }
    words = f"Simulated: deliveries lie in {space.deliveries}, the truth (for evaluation alone) in {space.truth}."
    _say(a, answer, words)


def _intake(a: argparse.Namespace) -> int:
    county = _open(a)
    return _tell_intake(a, county, county.intake([Path(f) for f in a.files] or None))


def _tell_intake(a: argparse.Namespace, county: County, receipts: Sequence[Receipt]) -> int:
    """What became of some deliveries, against what was expected; the status: 3 where a file was refused whole."""
    told, page = county.inbox.expected(), county.inbox.page(a.lang)
    rows = review.sources(receipts, told, county.catalogue) if receipts else ()
    answer = {
        "receipts": [asdict(r) for r in receipts],
        "sources": [r.as_json() for r in rows],
        "expected": [f.as_json() for r in rows for f in r.findings],
        "page": str(page),
    }
    language: Language = a.lang or "en"
    if receipts:
        below = review.places_below(county.inbox.receipts(), county.workspace.corrections, page, language)
        words = Group(
            review.intake_table(rows, review.total(receipts), language),
            *(Text(said + "\n") for said in (review.findings_below(rows, language), below) if said),
        )
        _say(a, answer, words, wide=True)
    else:
        _say(a, answer, review.nothing_waits(county.workspace.deliveries, language))
    return _tell_refused(receipts)


def _tell_refused(receipts: Sequence[Receipt]) -> int:
    """A line for each file that was refused whole; the status that they mean."""
    refused = [r for r in receipts if r.refused]
    for r in refused:
        ERRORS.print(f"{r.file}: {r.refused}", markup=False, highlight=False, style="red")
    return InputError.exit_code if refused else EXIT_DONE


def _train(a: argparse.Namespace) -> None:
    cli_models.train(_open(a), a, _say, lambda said: ERRORS.print(said, markup=False, highlight=False, style="yellow"))


def _tune(a: argparse.Namespace) -> None:
    cli_models.tune(_open(a), a, _say)


def _backtest(a: argparse.Namespace) -> None:
    cli_models.backtest(_open(a), a, _say)


def _worth(a: argparse.Namespace) -> None:
    cli_models.worth(_open(a), a, _say)


def _challenge(a: argparse.Namespace) -> None:
    cli_models.challenge(_open(a), a, _say)


def _month(a: argparse.Namespace) -> int:
    county = _open(a)
    with closing(county.engine):
        return cli_batch.month(a, county, SCREEN, _say, _tell_intake)


def _replay(a: argparse.Namespace) -> int:
    county = _open(a)
    with closing(county.engine):
        return cli_batch.replay(a, county, SCREEN, _say)


def _record(a: argparse.Namespace) -> int:
    return cli_batch.record(a, _say)


def _verify(a: argparse.Namespace) -> int:
    return cli_visits.verify(_open(a), [Path(f) for f in a.files], a, _say)


def _procedure(a: argparse.Namespace) -> None:
    cli_visits.steps(_open(a), a, _say)


def _audit(a: argparse.Namespace) -> None:
    cli_audit.run(_open(a), a, _say)


def _review(a: argparse.Namespace) -> None:
    county = _open(a)
    asked = {"months": a.months, "times": a.draws}
    if a.what_if and a.audit:
        raise UsageError(
            "review", "--what-if and --audit together", "Proposals are weighed by falls: leave --audit out."
        )
    if a.what_if:
        _what_if(a, county, asked)
        return
    audit = None if a.audit is None else read_audit(Path(a.audit))
    told = county.review(a.as_of, **asked, audit=audit)
    language: Language = a.lang or county.catalogue.county.language
    pages = county.write_review(told, language)
    answer = {**told.as_json(), "files": [str(p) for p in pages]}
    words = Group(review.figures_table(told, language), Text("\n".join(map(str, pages))))
    _say(a, answer, words, wide=True)


def _what_if(a: argparse.Namespace, county: County, asked: dict[str, Any]) -> None:
    """The answers to a file of proposals, one table each."""
    proposals = read_proposals(Path(a.what_if), county.catalogue)
    if not proposals:
        raise InputError(f"proposals {a.what_if}", "none in it", "Write them as in policy/review.yaml: what_if.")
    ready = county.what_if(a.as_of, **asked, proposals=proposals.values())
    answers = {name: ready.ask(proposal) for name, proposal in proposals.items()}
    language: Language = a.lang or county.catalogue.county.language
    tables = [review.answer_table(x, language) for x in answers.values()]
    _say(a, {k: x.as_json() for k, x in answers.items()}, Group(*tables), wide=True)


def _explain(a: argparse.Namespace) -> None:
    told = _open(a).explain(a.household, a.as_of, language=a.lang)
    _say(a, told, json.dumps(told, ensure_ascii=False, indent=1))


def _status(a: argparse.Namespace) -> None:
    cli_batch.status(a, _open(a), _say)


if __name__ == "__main__":
    sys.exit(main())
