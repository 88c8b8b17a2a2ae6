"""What became of each filled-in workbook, kept as a small JSON file each: no row of it, nothing about a person."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class VisitReceipt:
    """What became of one workbook: rows = accepted + already_known + not_filled + the sum of `refused`.

    `corrected` of the accepted rows put right or complete what was taken in before. `refused` counts by reason;
    `returned` is the workbook to send back. `whole`: why the whole file was refused, if it was.
    """

    file: str
    fingerprint: str
    rows: int = 0
    accepted: int = 0
    corrected: int = 0
    already_known: int = 0
    not_filled: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    month: str = ""
    list_id: str = ""
    village: str = ""
    returned: str = ""
    whole: str = ""
    received: str = ""

    def keep(self, folder: Path) -> "VisitReceipt":
        """Writes it, in one step; of a workbook that came before, the day of its first coming stays."""
        path = folder / f"{self.fingerprint}.json"
        before = VisitReceipt.load(path)
        kept = replace(self, received=before.received) if before and before.received else self
        folder.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_text(json.dumps(asdict(kept), ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
        half.replace(path)
        return kept

    @classmethod
    def load(cls, path: Path) -> "VisitReceipt | None":
        """The receipt in a file; None where there is none."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{f.name: told[f.name] for f in fields(cls)})
        except (OSError, ValueError, TypeError, KeyError):
            return None
