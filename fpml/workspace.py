"""Where things lie in one workspace: the only module that knows."""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from fpml import keys
from fpml.errors import InputError, UsageError

PACKAGE = Path(__file__).parent
DEFAULT_POLICY = PACKAGE / "policy"


def _packaged(name: str) -> Path:
    """A default that the wheel carries inside the package, and a checkout holds at its root."""
    inside = PACKAGE / "defaults" / name
    return inside if inside.exists() else PACKAGE.parent / name


@dataclass(frozen=True)
class Workspace:
    """The paths of one workspace; a folder with policy/, models/, data/ and mlflow.yaml. The repository root is one."""

    root: Path

    @property
    def policy(self) -> Path:
        """The policy in force: the workspace's own, or the default profile."""
        own = self.root / "policy"
        return own if own.is_dir() else DEFAULT_POLICY

    @property
    def definitions(self) -> Path:
        """One YAML file for each model."""
        return self.root / "models"

    @property
    def artefacts(self) -> Path:
        """Fitted models, one folder each."""
        return self.root / "models" / "artefacts"

    @property
    def studies(self) -> Path:
        """What tuning has tried, one SQLite file for each model; counts and parameters alone."""
        return self.root / "data" / "tuning"

    @property
    def ledger(self) -> Path:
        """The ledger's Delta table."""
        return self.root / "data" / "ledger"

    @property
    def quarantine(self) -> Path:
        """Refused rows, one file for each delivery that had any."""
        return self.root / "data" / "quarantine"

    @property
    def receipts(self) -> Path:
        """What became of each delivery, one file each."""
        return self.root / "data" / "receipts"

    @property
    def corrections(self) -> Path:
        """Workbooks of refused rows, to send back to departments."""
        return self.root / "data" / "corrections"

    @property
    def key(self) -> Path:
        """The key under which ID numbers become pseudonyms; its owner alone may read it."""
        return self.root / "data" / "identity.key"

    @property
    def vault(self) -> Path:
        """Names, addresses and telephone numbers of heads; closed to all but the account that runs fpml."""
        return self.root / "data" / "vault"

    @property
    def lists_key(self) -> Path:
        """The key under which the rows of lists are signed; whoever makes or takes in lists must read it."""
        return self.root / "data" / "lists.key"

    @property
    def issued(self) -> Path:
        """What each row of every list that went out is: by this, filled-in lists are recognised."""
        return self.root / "data" / "issued"

    @property
    def visits(self) -> Path:
        """What filled-in lists told: visits, receipts, and workbooks to send back."""
        return self.root / "data" / "visits"

    @property
    def procedure(self) -> Path:
        """Which steps are overdue, a file for each village."""
        return self.root / "data" / "procedure"

    @property
    def deliveries(self) -> Path:
        """Where delivery files are looked for when none is named."""
        return self.root / "data" / "deliveries"

    @property
    def truth(self) -> Path:
        """What is true of a simulated county; nothing but evaluation opens it."""
        return self.root / "data" / "truth"

    @property
    def lists(self) -> Path:
        """Published warning lists, one folder for each edition of each as-of; see `fpml.lists.editions`."""
        return self.root / "data" / "lists"

    @property
    def audits(self) -> Path:
        """Yearly audits, one folder each: who was drawn, and files to fill in; see `fpml.audits`."""
        return self.root / "data" / "audits"

    @property
    def scores(self) -> Path:
        """What each as-of's list was ranked by, one file each; for reviews of many months."""
        return self.root / "data" / "scores"

    @property
    def health(self) -> Path:
        """What each month's list was made from, in counts and shares, one file each; nothing about a person."""
        return self.root / "data" / "health"

    @property
    def record(self) -> Path:
        """Who ran, published, replayed and read what: one line each, chained by hashes; nothing about a person."""
        return self.root / "data" / "record.jsonl"

    @property
    def cache(self) -> Path:
        """What was worked out and can be worked out again; may be deleted at any time."""
        return self.root / "data" / "cache"

    @property
    def reports(self) -> Path:
        """Backtests and other figures; nothing about a person."""
        return self.root / "data" / "reports"

    def promote(self, model: str, definition: Path) -> None:
        """Puts a definition in the place of a model's own, in one step; the one before lies beside it."""
        own = self.definitions / f"{model}.yaml"
        before, half = own.with_name(f"{own.name}.before"), own.with_name(f".part-{own.name}")
        half.write_bytes(definition.read_bytes())
        shutil.copyfile(own, before)
        os.replace(half, own)

    def mark_simulated(self, name: dict[str, str], line: dict[date, int] | None = None) -> None:
        """Writes into the workspace's county.yaml that its county is simulated, what it is called and its own line.

        The default policy of the package itself is never written to: raises UsageError where there is no other.
        """
        path = self.root / "policy" / "county.yaml"
        if not path.is_file():
            raise UsageError(f"workspace {self.root}", "no policy of its own", "Make one with `fpml init DIR`.")
        text = path.read_text(encoding="utf-8")
        wanted = yaml.safe_load(text) | {"name": name, "simulated": True}
        if line:
            steps = [{"from": day, "value": value} for day, value in sorted(line.items())]
            wanted["line"] |= {"values": {"all": steps}, "source": "the simulated profile's", "mark": "assumed"}
        # Comments are kept where the file is written as the default one is.
        kept = [row for row in text.splitlines() if row.partition(":")[0] not in ("name", "simulated")]
        marked = "\n".join([f"name: {json.dumps(name, ensure_ascii=False)}", "simulated: true", *kept]) + "\n"
        if _loaded(marked) != wanted:
            marked = yaml.safe_dump(wanted, allow_unicode=True, sort_keys=False)
        half = path.with_suffix(".part")
        half.write_text(marked, encoding="utf-8")
        half.replace(path)

    def tracking(self) -> tuple[str, str, str]:
        """The tracking database's URI, the artefacts' folder and the experiment's name, from mlflow.yaml."""
        path = self.root / "mlflow.yaml"
        if not path.is_file():
            raise InputError("mlflow.yaml", "missing", f"Copy the default one into {self.root}, or run `fpml init`.")
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = {"database", "artifacts", "experiment"}
        if not isinstance(settings, dict) or set(settings) != known:
            raise InputError("mlflow.yaml", "not the three keys it must have", f"Write {', '.join(sorted(known))}.")
        database, artifacts = (self.root / str(settings[k]) for k in ("database", "artifacts"))
        database.parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{database.resolve().as_posix()}", artifacts.resolve().as_uri(), str(settings["experiment"])


def _loaded(text: str) -> object:
    """What a YAML text says; None where it is none."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def find(folder: Path | str) -> Workspace:
    """The workspace of a folder; raises UsageError where there is none."""
    root = Path(folder)
    if not (root / "mlflow.yaml").is_file():
        raise UsageError(f"workspace {root}", "not a workspace (no mlflow.yaml)", f"Run `fpml init {root}` first.")
    return Workspace(root)


def signing_key(space: Workspace) -> keys.IdentityKey:
    """The key that signs lists, made where no list has gone out yet; raises InputError where it is lost or damaged."""
    if not any(space.issued.glob("*.parquet")):
        keys.make(space.lists_key)
    if not space.lists_key.exists():
        problem = "there is none, and lists went out that were signed with it"
        remedy = "Restore it from its safe copy; if it is lost for good, move data/issued away and publish anew."
        raise InputError(f"key {space.lists_key.name}", problem, remedy)
    return keys.load(space.lists_key)


def init(folder: Path | str, policy: Path | None = None, *, key_hash: str = "sha256") -> Workspace:
    """A new workspace with a policy profile (default: Jiangxi's), a key of its own and a folder for deliveries.

    What is there stays as it is.

    A policy that has its county.yaml, which is written last, is whole, and a county's own. mlflow.yaml, by which a
    workspace is known, is the last of all: a half-made one is finished by the next call.
    """
    folder = Path(folder)
    space = Workspace(folder)
    if not any(space.receipts.glob("*.json")):
        # Where people have been taken in, a new key would make strangers of them all.
        keys.make(space.key, key_hash)
    if not (folder / "policy" / "county.yaml").exists():
        _copy((policy or DEFAULT_POLICY).glob("*.yaml"), folder / "policy")
    _copy(_fitting(_packaged("models").glob("*.yaml"), folder / "policy"), folder / "models")
    space.deliveries.mkdir(parents=True, exist_ok=True)
    _copy([_packaged("mlflow.yaml")], folder)
    return space


def _fitting(definitions: Iterable[Path], policy: Path) -> list[Path]:
    """The models' definitions that are of an outcome of a policy: another's could not be read beside it.

    All of them where its county.yaml cannot be read: what is wrong with it is told where policy is loaded.
    """
    try:
        told = yaml.safe_load((policy / "county.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        told = None
    outcomes = told.get("outcomes") if isinstance(told, dict) else None
    if not isinstance(outcomes, dict):
        return list(definitions)
    return [d for d in definitions if yaml.safe_load(d.read_text(encoding="utf-8"))["outcome"] in outcomes]


def _copy(files: Iterable[Path], target: Path) -> None:
    """Copies files that are not there yet, county.yaml last."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(files, key=lambda f: (f.name == "county.yaml", f.name)):
        if not (target / file.name).exists():
            half = target / f"{file.name}.part"
            shutil.copyfile(file, half)
            half.replace(target / file.name)
