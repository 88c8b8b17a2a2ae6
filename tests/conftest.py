"""Workspaces and panels that tests share. No real household; every id here is invented."""

import csv
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

import fpml
from fpml import keys
from fpml.catalogue import Catalogue, load
from fpml.errors import BusyError, DeliveryError
from fpml.intake import Intake, Receipt, Shelf
from fpml.ledger import Ledger
from fpml.lock import alone
from fpml.simulate import Dials, Places, Plan, load_profile, simulate
from fpml.vault import Vault
from fpml.workspace import DEFAULT_POLICY

REPOSITORY = Path(__file__).parents[1]
TODAY = date(2024, 6, 30)
HEADER = ("household_id", "person_id", "indicator", "event_date", "known_date", "value", "record_id")
Generate = Callable[..., list[Path]]
Rows = Iterable[Sequence[str | int | float]]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def generate(catalogue: Catalogue) -> Generate:
    """Grows a simulated county: `generate(folder, households=, months=, seed=)`; returns its deliveries.

    In hard times, and with every wage on record: so that a few hundred households tell of falls enough to learn from.
    """
    hard = {"formal": 1.0, "guess": 0.1, "job_loss": 0.03, "rehired": 0.1}
    profile = load_profile("baoshan", Dials(base_rate=1.45)).model_copy(update=hard)

    def grow(folder: Path, *, households: int = 1500, months: int = 30, seed: int = 7) -> list[Path]:
        plan = Plan(profile, households, months=months, seed=seed)
        simulate(plan, Places(folder, folder.parent / "truth"), catalogue, processes=1)
        return sorted(folder.glob("*.parquet"))

    return grow


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The default policy."""
    return load(DEFAULT_POLICY, DEFAULT_POLICY)


@pytest.fixture
def county(tmp_path: Path) -> fpml.County:
    """A new workspace with the default policy and nothing taken in."""
    return fpml.open(fpml.init(tmp_path / "county").root)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A copy of the default policy, to be spoilt; without the review's proposals, which name its rules."""
    leave = shutil.ignore_patterns("review.yaml")
    return Path(shutil.copytree(DEFAULT_POLICY, tmp_path / "policy", ignore=leave))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> fpml.County:
    """A county that one of the processes that run tests makes, and each has a copy of."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    root, whole = shared / name / "county", shared / f"{name}.whole"
    while not whole.exists():
        try:
            with alone(shared / f"{name}.lock", name):
                if not whole.exists():
                    make(root)
                    whole.touch()
        except BusyError:
            time.sleep(0.1)
    return fpml.open(shutil.copytree(root, factory.mktemp(name) / "county"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, generate: Generate) -> fpml.County:
    """300 generated households over 20 months, known 2021-01 to 2022-08. Not to be changed: see `demo_copy`."""

    def make(root: Path) -> None:
        county = fpml.open(fpml.init(root).root)
        county.intake(generate(county.workspace.deliveries, households=300, months=20), today=TODAY)

    return made_once(tmp_path_factory, "demo", make)


@pytest.fixture
def demo_copy(demo: fpml.County, tmp_path: Path) -> fpml.County:
    """The same county in a folder of its own, for tests that change it."""
    return fpml.open(shutil.copytree(demo.workspace.root, tmp_path / "demo"))


class Desk:
    """An office's desk: writes deliveries, takes them in, and looks at what became of them."""

    def __init__(self, folder: Path, catalogue: Catalogue, *, shards: int = 16) -> None:
        self.folder, self.catalogue, self.shards = folder, catalogue, shards

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger", shards=self.shards)

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    def csv(
        self, *rows: Sequence[str | int | float], name: str = "delivery.csv", header: Iterable[str] = HEADER
    ) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as f:
            csv.writer(f).writerows([list(header), *rows])
        return path

    @property
    def shelf(self) -> Shelf:
        vault = Vault(self.folder / "vault") if self.catalogue.county.names_kept else None
        return Shelf(self.folder / "receipts", self.quarantine, vault)

    def office(self, *, today: date = TODAY) -> Intake:
        keys.make(self.folder / "identity.key")
        places = self.shelf, self.folder / "identity.key", self.folder / "cache"
        return Intake(self.ledger, self.catalogue, *places, today)

    def take(self, path: Path, *, today: date = TODAY) -> Receipt:
        (receipt,) = self.office(today=today).take([path])
        if receipt.refused:
            raise DeliveryError(receipt.file, *receipt.refused.split(". ", 1))
        assert receipt.rows == receipt.accepted + receipt.already_known + sum(receipt.quarantined.values())
        return receipt

    def set_apart(self, receipt: Receipt) -> list[dict[str, object]]:
        """The refused rows of a delivery as they lie in quarantine, their cells beside; none where there are none."""
        rows = self.shelf.refused(receipt.delivery).to_pylist()
        return [row | dict.fromkeys(HEADER) | json.loads(row["cells"]) | {"row": row["row"]} for row in rows]

    def content(self) -> list[tuple[object, ...]]:
        """All that the ledger holds, in an order of its own; the delivery's fingerprint left out."""
        if self.ledger.version < 0:
            return []
        table = self.ledger.everything().drop_columns(["delivery"])
        last = ["until_date", "fact"]
        table = table.select([*(c for c in table.column_names if c not in last), *last])
        plain = table.cast(pa.schema([(f.name, _plain(f.type)) for f in table.schema]))
        return sorted((tuple(r.values()) for r in plain.to_pylist()), key=repr)


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) else kind


@pytest.fixture
def desk(tmp_path: Path, catalogue: Catalogue) -> Desk:
    return Desk(tmp_path, catalogue)


@pytest.fixture
def new_desk(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Callable[..., Desk]:
    """Makes a desk in a new folder; `policy` and `shards` can be chosen."""

    def make(*, shards: int = 16, policy: Catalogue | None = None) -> Desk:
        return Desk(tmp_path_factory.mktemp("desk"), policy or catalogue, shards=shards)

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, generate: Generate) -> fpml.County:
    """1,500 generated households over 36 months (2021-01 to 2023-12), models trained at 2023-06. Not to be changed."""

    def make(root: Path) -> None:
        fpml.init(root)
        profile = root / "policy" / "county.yaml"
        settings = yaml.safe_load(profile.read_text(encoding="utf-8")) | {"simulated": True}
        profile.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
        for file in (root / "models").glob("*.yaml"):
            text = file.read_text(encoding="utf-8").replace("negatives: 100000", "negatives: 4000")
            file.write_text(text.replace("patience: 30", "patience: 15") + "folds: 2\n", encoding="utf-8")
        county = fpml.open(root)
        county.intake(generate(county.workspace.deliveries, households=1500, months=36))
        county.histories(*county.as_ofs())
        for model in county.model_names():
            county.train(model, "2023-06")

    county = made_once(tmp_path_factory, "trained", make)
    county.histories(*county.as_ofs())
    return county
