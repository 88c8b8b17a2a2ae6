"""What a person decides of records, as frozen types: indicators, and the features made of them.

Every type refuses unknown keys. A `Feature` is a definition whose name is computed; nobody types
`medical_self_paid__sum__12m` but in a reference, and references are checked when the catalogue is loaded.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (  # fmt: skip
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

Kind = Literal["amount", "count", "level", "status", "event"]
Reduction = Literal[
    "sum", "count", "max", "min", "mean", "last", "months_since",
    "trend", "sd", "months_with", "duration", "holding",
]  # fmt: skip
# These look at each month of a window, and so need one that is bounded; those only make sense of a status.
MONTH_BY_MONTH = ("trend", "sd", "months_with")
OF_STATUS = ("duration", "holding")
LONGEST = 60
Direction = Literal["raises", "lowers", "unclear"]
Mark = Literal["stated", "found", "assumed", "derived"]
Language = Literal["zh", "en"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)]

# A thousand years of months.
EVER = 12_000


class Policy(BaseModel):
    """A frozen piece of policy that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Words(Policy):
    """The same words in the languages that the profile has; at least one."""

    zh: str = ""
    en: str = ""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.zh.strip() or self.en.strip()):
            raise ValueError("no words in any language; write `en: ...` or `zh: ...`")
        return self

    def said(self, language: Language) -> str:
        """The words in a language, or in the other where that one is not given."""
        return (self.zh or self.en) if language == "zh" else (self.en or self.zh)


class Window(Policy):
    """The months (as_of - ago - length, as_of - ago]; written `12m`, `12m_1m_ago`, `ytd` or `ever`.

    `ytd`, the calendar year to date, begins in January of the year in which it ends; its length is 12 at most.
    """

    length: int = Field(ge=1, le=EVER)
    ago: int = Field(default=0, ge=0, le=EVER)
    to_date: bool = False

    @classmethod
    def parse(cls, text: Any) -> Any:
        """The window that a policy file names; anything else raises ValueError."""
        if not isinstance(text, str):
            return text
        m = re.fullmatch(r"(?:([1-9]\d{0,2})m|(ytd)|ever)(?:_([1-9]\d{0,2})m_ago)?", text)
        if not m:
            raise ValueError("not a window; write `12m`, `12m_1m_ago` (which ended a month ago), `ytd` or `ever`")
        length = int(m[1]) if m[1] else 12 if m[2] else EVER
        return cls(length=length, ago=int(m[3] or 0), to_date=bool(m[2]))

    def __str__(self) -> str:
        length = "ytd" if self.to_date else "ever" if self.length == EVER else f"{self.length}m"
        return f"{length}_{self.ago}m_ago" if self.ago else length


WindowText = Annotated[Window, BeforeValidator(Window.parse)]


class FeatureSet(Policy):
    """Windows x reductions of one indicator.

    `in_lines` adds each as a share of the monitoring line per head; `against` holds each against the same reduction of
    an earlier window (a household's own past), as a ratio.
    """

    windows: tuple[WindowText, ...] = Field(min_length=1)
    reductions: tuple[Reduction, ...] = Field(min_length=1)
    in_lines: bool = False
    against: WindowText | None = None
    for_model: bool = True


class Indicator(Policy):
    """One kind of reported fact.

    `decimals` says how many decimal places the delivered number may have; the ledger holds value x 10^decimals as an
    integer (fen for an amount in yuan). `absent` says what no record means: `zero` (nothing happened) or `unknown`.
    `covered_by` names an indicator without which nobody asked, and the answer stays unknown even so.
    `follows_person`: a person's fact goes with the person from household to household; by default a status or a level
    does (what somebody is or has), and an amount, a count or an event stays where it happened.
    """

    name: Words
    department: str
    kind: Kind
    unit: Words
    decimals: int = Field(default=0, ge=0, le=4)
    grain: Literal["person", "household"]
    cause: str = "other"
    direction: Direction = "unclear"
    usual_lag_months: int = Field(default=0, ge=0, le=36)
    absent: Literal["zero", "unknown"] = "unknown"
    covered_by: str | None = None
    follows_person: bool | None = None
    codes: dict[int, Words] | None = None
    features: tuple[FeatureSet, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.kind == "amount" and self.decimals == 0:
            raise ValueError("an amount without decimals; write `decimals: 2` so that it is kept in hundredths")
        if self.kind == "status" and self.codes is not None and not self.codes:
            raise ValueError("a status with an empty table of codes; list them, or leave `codes` out")
        if self.kind != "amount" and any(s.in_lines for s in self.features):
            raise ValueError("`in_lines` on what is not an amount; only money is held against the line")
        if self.follows_person and self.grain != "person":
            raise ValueError("`follows_person` on what is told of households")
        for wanted in self.features:
            for window in wanted.windows:
                for reduction in wanted.reductions:
                    fault = self.refuses(reduction, window)
                    if fault:
                        raise ValueError(fault)
        return self

    @property
    def follows(self) -> bool:
        """Whether a fact goes with its person to another household."""
        if self.follows_person is not None:
            return self.follows_person
        return self.grain == "person" and self.kind in ("status", "level")

    @property
    def flows(self) -> bool:
        """Whether it tells of what happens, so that a month without records means something."""
        return self.absent == "zero" and self.kind != "status" and not self.follows

    def refuses(self, reduction: Reduction, window: Window) -> str | None:
        """Why this reduction over this window makes no sense of the indicator; None where it does."""
        if reduction in MONTH_BY_MONTH and window.length > LONGEST:
            return f"`{reduction}` looks at each month; give it a window of at most {LONGEST} months"
        if reduction in OF_STATUS and self.kind != "status":
            return f"`{reduction}` of a {self.kind}; only a status goes on"
        if reduction == "duration" and self.grain == "person":
            return "`duration` of what is told of persons; use `holding`, which counts them"
        return None


class Feature(Policy):
    """One reduction of one indicator over one window; its name is computed from these."""

    indicator: str
    reduction: Reduction
    window: Window
    for_model: bool = True

    @property
    def name(self) -> str:
        """The computed name, such as `medical_self_paid__sum__12m`."""
        return f"{self.indicator}__{self.reduction}__{self.window}"


class Coverage(Policy):
    """How much of a window a department had told of by the as-of, as a share of its months."""

    department: str
    window: Window

    @property
    def name(self) -> str:
        """The computed name, such as `medical_insurance__coverage__12m`."""
        return f"{self.department}__coverage__{self.window}"


class Derived(Policy):
    """A feature computed from others of the same row, or (context) from those of the same village at the same as-of.

    ratio: `of` / product of `by` (`line` stands for the monitoring line in force, `heads` for its heads, both at the
    end of the window of `of`);  change: `of` minus `by`;  first: the first known of `of`, `by` ...;  min, max: over
    the known ones;  sum: unknown if any of them is;  log_mean: exp(mean(log(1 + x))) - 1 of the known ones,
    for skewed amounts;  context: mean of `of` over the other households of the same `place` (`place_digits`: of the
    place that the first so many digits of its code name);  season: the month of the year of the as-of, 1 to 12.
    """

    kind: Literal["ratio", "change", "first", "min", "max", "sum", "log_mean", "context", "season"]
    of: str = ""
    by: tuple[str, ...] = ()
    place: str | None = None
    place_digits: int | None = Field(default=None, ge=1, le=12)
    name: Words
    unit: Words
    group: str | None = None
    direction: Direction = "unclear"
    for_model: bool = True

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.kind == "season":
            if self.of or self.by or self.place:
                raise ValueError("a season is of the as-of alone: without `of`, `by` and `place`")
            return self
        if not self.of:
            raise ValueError(f"a {self.kind} needs `of`")
        if self.place_digits and not self.place:
            raise ValueError("`place_digits` without a `place`")
        if self.kind == "context" and (self.by or not self.place):
            raise ValueError(
                "a context is the mean of `of` over a `place` (an indicator such as village), without `by`"
            )
        if self.kind != "context" and (not self.by or self.place):
            raise ValueError(f"a {self.kind} needs `by` and takes no `place`")
        if self.kind == "change" and len(self.by) != 1:
            raise ValueError("a change is held against exactly one feature")
        return self
