"""`make demo`: a generated panel through the whole line, to a ranked list. Simulated; no real household."""

import shutil
import sys
from pathlib import Path

import yaml
from generate import generate

import fpml
from fpml.cli import main

WHERE = Path(__file__).parents[2] / "data" / "demo"
LEARN, LIST = "2023-05", "2023-06"


def run(where: Path, *, households: int = 1500) -> int:
    """Sets up the workspace, takes 30 months in, trains, runs a month; returns the first exit status that is not 0."""
    shutil.rmtree(where, ignore_errors=True)
    fpml.init(where)
    county = where / "policy" / "county.yaml"
    profile = yaml.safe_load(county.read_text(encoding="utf-8"))
    profile |= {
        "simulated": True,
        "visits": 100,
        "name": {"zh": "演示县（模拟）", "en": "demonstration county (simulated)"},
    }
    county.write_text(yaml.safe_dump(profile, allow_unicode=True, sort_keys=False), encoding="utf-8")
    generate(where / "data" / "deliveries", households=households)
    here = ["--workspace", str(where)]
    for command in (["intake", *here], ["train", "--as-of", LEARN, *here], ["month", LIST, *here]):
        status = main(command)
        if status:
            return status
    print(f"\nSimulated households. The list: {where / 'data' / 'lists' / LIST / 'warnings.xlsx'} (and .csv beside it)")
    print(
        "What the model found that the rules did not, forward in time: "
        f".venv/bin/fpml backtest --first 2023-01 --workspace {where}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(WHERE))
