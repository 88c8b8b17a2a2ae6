"""`make demo`: a simulated county through the whole line, to a ranked list. No real household."""

import shutil
import sys
from pathlib import Path

import yaml

import fpml
from fpml.cli import main

WHERE = Path(__file__).parents[2] / "data" / "demo"
HOUSEHOLDS, MONTHS = 5_000, 36
LEARN, LIST = "2023-11", "2023-12"
# What a model that learnt half a year earlier would have listed since is held against the rules.
EARLIER, REVIEWED = "2023-06", 6


def run(where: Path, *, households: int = HOUSEHOLDS) -> int:
    """Grows a county, takes its months in, trains, runs a month; returns the first exit status that is not 0."""
    shutil.rmtree(where, ignore_errors=True)
    fpml.init(where)
    county = where / "policy" / "county.yaml"
    profile = yaml.safe_load(county.read_text(encoding="utf-8")) | {"visits": 100}
    county.write_text(yaml.safe_dump(profile, allow_unicode=True, sort_keys=False), encoding="utf-8")
    for file in (where / "models").glob("*.yaml"):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))
        # Larger steps and fewer folds than a county would take: a demonstration is to be done in four minutes.
        definition["folds"] = 2
        definition["trees"] |= {"learning_rate": 0.1, "patience": 15}
        file.write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
    here = ["--workspace", str(where)]
    # Many more households fall than would in a county of this size: there must be something to learn and to look at.
    # As departments' files: names come with the register's own, and a village's list is seen as its cadre sees it.
    grow = ["simulate", "--households", str(households), "--months", str(MONTHS), "--base-rate", "0.9"]
    files = ["--style", "clean"]
    looked_back = ["review", LIST, "--months", str(REVIEWED)]
    for command in (
        [*grow, *files, *here], ["intake", *here], ["train", "new_poverty", "--as-of", EARLIER, *here],
        ["train", "--as-of", LEARN, *here], ["month", LIST, *here], [*looked_back, *here],
    ):  # fmt: skip
        status = main(command)
        if status:
            return status
    print(f"\nSimulated households. The list: {where / 'data' / 'lists' / LIST / 'warnings.xlsx'} (and .csv beside it)")
    print(f"A village's own list, with (simulated) names: {where / 'data' / 'lists' / LIST / 'villages'}")
    print(f"The review of {REVIEWED} months: {where / 'data' / 'reports' / f'review-{LIST}-{REVIEWED}m.html'}")
    print(
        "What the model found that the rules did not, forward in time: "
        f".venv/bin/fpml backtest --first 2023-01 --workspace {where}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(WHERE))
