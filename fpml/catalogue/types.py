"""What a person decides, as frozen types: indicators, features, rules, checks, line, outcomes, calendar.

Every type refuses unknown keys. A `Feature` is a definition whose name is computed; nobody types
`medical_self_paid__sum__12m` but in a reference, and references are checked when the catalogue is loaded.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (  # fmt: skip
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
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


class DatedValue(Policy):
    """A value that holds from a day on."""

    from_: date = Field(alias="from")
    value: Decimal


Steps = tuple[DatedValue, ...]
OTHERS = "others"


def _shape(threshold: Any) -> str:
    """How a threshold is written: one number, dated values, or a table of either."""
    if isinstance(threshold, dict | Table):
        return "table"
    return "dated" if isinstance(threshold, list | tuple) else "number"


class Table(RootModel[dict[str, "Threshold"]]):
    """A threshold for each household type (`county.yaml: cohort`) or each region (its code), and for the `others`.

    The first household type of the table that fits a household decides; a table by region may hold tables by type.
    """

    model_config = ConfigDict(frozen=True)

    def leaves(self) -> Iterator["Decimal | Steps"]:
        """Every threshold that the table holds, its tables within spelt out."""
        for part in self.root.values():
            yield from part.leaves() if isinstance(part, Table) else (part,)


Threshold = Annotated[
    Annotated[Decimal, Tag("number")] | Annotated[Steps, Tag("dated")] | Annotated[Table, Tag("table")],
    Discriminator(_shape),
]
Table.model_rebuild()


class Condition(Policy):
    """A feature held against a threshold, which is a number, dated, or a table: at_least and at_most include it.

    `mark` and `source` are its own where they differ from those of the rule: a figure that nobody gave is assumed.
    """

    feature: str
    at_least: Threshold | None = None
    above: Threshold | None = None
    at_most: Threshold | None = None
    below: Threshold | None = None
    mark: Mark | None = None
    source: str = ""

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        tests = [getattr(self, k) for k in ("at_least", "above", "at_most", "below")]
        given = [t for t in tests if t is not None]
        if len(given) != 1:
            raise ValueError("exactly one of at_least, above, at_most, below; write one, and the other as a condition")
        for dated in given[0].leaves() if isinstance(given[0], Table) else given:
            if isinstance(dated, tuple):
                days = [v.from_ for v in dated]
                if not days or days != sorted(set(days)):
                    raise ValueError("dated thresholds must stand in order, each day once; put the earliest first")
        return self

    @property
    def comparison(self) -> Literal["at_least", "above", "at_most", "below"]:
        """Which of the four tests this condition makes."""
        for key in ("at_least", "above", "at_most"):
            if getattr(self, key) is not None:
                return key
        return "below"

    @property
    def inclusive(self) -> bool:
        """Whether a value exactly on the threshold holds."""
        return self.comparison in ("at_least", "at_most")

    @property
    def threshold(self) -> Decimal | Steps | Table:
        """The threshold, in the feature's unit."""
        return getattr(self, self.comparison)


class Every(Policy):
    """One alternative made of several conditions: all of them hold."""

    all: tuple[Condition, ...] = Field(min_length=2)


def _alternative(given: Any) -> str:
    return "every" if isinstance(given, Every) or (isinstance(given, dict) and "all" in given) else "one"


Alternative = Annotated[Annotated[Condition, Tag("one")] | Annotated[Every, Tag("every")], Discriminator(_alternative)]


class Conditions(Policy):
    """Conditions under a name, with their source: they hold when all of `all` do and, where given, one of `any`.

    One of `any` may itself be a list: `{all: [...]}`. Deeper they cannot lie.
    """

    name: Words
    source: str = Field(min_length=1)
    mark: Mark
    all: tuple[Condition, ...] = ()
    any: tuple[Alternative, ...] = ()

    @model_validator(mode="after")
    def _has_conditions(self) -> Self:
        if not self.all and not self.any:
            raise ValueError(f"a {type(self).__name__.lower()} without conditions; write `all:` or `any:`")
        return self

    def each(self) -> Iterator[tuple[str, Condition]]:
        """Every condition, and its place within."""
        for i, condition in enumerate(self.all):
            yield f"all.{i}", condition
        for i, either in enumerate(self.any):
            if isinstance(either, Condition):
                yield f"any.{i}", either
            else:
                yield from ((f"any.{i}.all.{j}", c) for j, c in enumerate(either.all))


class Deadline(Policy):
    """By when a department pushes what a rule finds: exactly one of these.

    What day that is depends on the calendar of holidays, which is not known here.
    """

    at_once: bool | None = None
    automatic: bool | None = None
    monthly: bool | None = None
    working_days: int | None = Field(default=None, ge=1, le=250)
    last_working_days: int | None = Field(default=None, ge=1, le=20)
    day_of_month: int | None = Field(default=None, ge=1, le=28)
    by: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = {k: v for k, v in self if v is not None}
        if len(given) != 1:
            raise ValueError(f"a deadline is exactly one of {', '.join(type(self).model_fields)}; write one of them")
        if False in given.values():
            raise ValueError("a deadline that does not apply; leave `deadline` out")
        try:
            # A leap year, so that the 29th of February is a day.
            date.fromisoformat(f"2024-{self.by or '01-01'}")
        except ValueError:
            raise ValueError(f"`{self.by}` is no day of the year; write month and day, as '04-30'") from None
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(k for k, v in self if v is not None)

    @property
    def value(self) -> int | str | bool:
        """The number, the day, or true."""
        return next(v for _, v in self if v is not None)


Severity = Literal["high", "middle", "low"]
Channel = Literal["department", "declared", "walked"]
DEPARTMENT: Channel = "department"
CHANNELS: tuple[Channel, ...] = get_args(Channel)


class Rule(Conditions):
    """A threshold in force: hits where its conditions hold.

    `notice`: whose rule it is, in the words of its source; `note`: where records do not say what the rule asks, how it
    is held against them. `severity` is ours. `from` and `until` (its last day): when the rule itself was in force.
    `channel`: by which of the three lines the household comes into the list: a department's data, its own declaration,
    a cadre's walk.
    """

    department: str
    channel: Channel = DEPARTMENT
    cause: str = "other"
    severity: Severity = "middle"
    deadline: Deadline | None = None
    notice: Words | None = None
    note: Words | None = None
    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.mark in ("stated", "found") and not self.notice:
            raise ValueError(f"a rule marked {self.mark} without a notice; write whose it is, or `mark: assumed`")
        if self.from_ and self.until and self.until < self.from_:
            raise ValueError("`until` before `from`; mend one of the two")
        return self

    def lists(self, pushed: tuple[Severity, ...]) -> bool:
        """Whether a hit lists its household: always what was declared or found, a department's where it is pushed."""
        return self.channel != DEPARTMENT or self.severity in pushed


class Check(Conditions):
    """Where what is on record does not fit together: finds a household of those `among` where its conditions hold.

    `among`: whom it concerns, where all of these hold; without any, every watched household. `remedy`: what to look at.
    """

    remedy: Words
    among: tuple[Condition, ...] = ()


class MonitoringLine(Policy):
    """What a household of one head needs over `months` months, by region and date, in the unit of `income`.

    `heads` is the feature that counts heads (or adult equivalents); `region` the status that says which line applies.
    """

    unit: Words
    decimals: int = Field(default=2, ge=0, le=4)
    months: int = Field(ge=1, le=12)
    heads: str
    region: str | None = None
    source: str
    mark: Mark
    values: dict[str, Annotated[tuple[DatedValue, ...], Field(min_length=1)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for region, steps in self.values.items():
            days = [s.from_ for s in steps]
            if days != sorted(set(days)):
                raise ValueError(f"the dated values of region {region} must stand in order, each day once")
        return self


class OutcomeDefinition(Policy):
    """What is predicted: who is at risk at the as-of, and what counts as a fall, `horizons` months later.

    observed `at`: the state h months later; `within`: any state after the as-of up to h months later.
    """

    name: Words
    at_risk: tuple[Condition, ...] = Field(min_length=1)
    fall: Condition
    horizons: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(min_length=1)
    observed: Literal["at", "within"] = "within"
    known_after_months: int = Field(default=0, ge=0, le=36)

    @model_validator(mode="after")
    def _nearest_first(self) -> Self:
        if list(self.horizons) != sorted(set(self.horizons)):
            raise ValueError("horizons must stand in order, each once")
        return self


class Group(Policy):
    """Households that are watched as one kind, such as those in monitoring: every condition holds."""

    name: Words
    all: tuple[Condition, ...] = ()


class County(Policy):
    """The calendar, the cohort, the capacity and the words of one place.

    `membership` names the status that says which household a person belongs to. `cohort`: as what a watched household
    is watched, the first group that holds; those in monitoring are a group of their own. `pushed`:
    departments' rules of these severities list a household by themselves; hits of the others are told beside.
    `ranked_by`: the horizon of every outcome by which lists are ranked and explained; each one's first, if left out.
    `below`: whom the records say to be below the line already; the first outcome's fall, if left out. `names_kept`:
    whether heads' names, addresses and telephone numbers are kept (in the vault) for the villages' own lists.
    """

    name: Words
    language: Language = "zh"
    simulated: bool = False
    as_of_months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = Field(default=tuple(range(1, 13)), min_length=1)
    watched: Condition
    membership: Name | None = None
    cohort: dict[Name, Group] = Field(default_factory=dict)
    village: str
    visits: int = Field(ge=1)
    pushed: tuple[Severity, ...] = ("high", "middle", "low")
    line: MonitoringLine
    outcomes: dict[Name, OutcomeDefinition] = Field(min_length=1)
    ranked_by: int | None = None
    below: Condition | None = None
    names_kept: bool = True

    @model_validator(mode="after")
    def _ranked_by_one_of_each(self) -> Self:
        without = [n for n, o in self.outcomes.items() if self.ranked_by not in (None, *o.horizons)]
        if without:
            raise ValueError(f"ranked_by: {self.ranked_by} months is no horizon of {without[0]}; name one that it has")
        return self

    @property
    def below_already(self) -> Condition:
        """What the records say of a household that is below the line already."""
        return self.below or next(iter(self.outcomes.values())).fall

    def ranking(self, outcome: str) -> int:
        """The horizon in months by which households at risk of an outcome are ranked, and their reasons told."""
        return self.ranked_by or self.outcomes[outcome].horizons[0]
