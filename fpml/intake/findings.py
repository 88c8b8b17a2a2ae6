"""What is not as usual about deliveries: each kind has a name, a sentence, and what to do about it."""

from dataclasses import dataclass

from fpml.catalogue import Language, Words


@dataclass(frozen=True)
class Kind:
    """A kind of finding: its short name, its sentence (to be filled in), and what a clerk does about it."""

    name: Words
    sentence: Words
    remedy: Words


def _kind(name: tuple[str, str], sentence: tuple[str, str], remedy: tuple[str, str]) -> Kind:
    return Kind(*(Words(zh=zh, en=en) for zh, en in (name, sentence, remedy)))


KINDS = {
    "refused": _kind(
        ("整份退回", "refused"),
        ("{source}：文件{file}整份未能入库", "{source}: the file {file} was refused whole"),
        ("按退回原因修改后重报", "Mend what its line says, and deliver it again."),
    ),
    "missing": _kind(
        ("未报", "missing"),
        ("{source}：{month}应报未报（平时约{usual}行）",
         "{source}: nothing of {month} has come (usually some {usual} rows)"),
        ("请联系该单位补报", "Ask the sender for it."),
    ),
    "late": _kind(
        ("迟报", "late"),
        ("{source}：{month}的数据到{file}才报送", "{source}: {month} came only on {file}"),
        ("如经常迟报，请与该单位商定报送日期", "If that becomes a habit, agree on a day with the sender."),
    ),
    "twice_usual": _kind(
        ("成倍增多", "twice the usual"),
        ("{source}：{month}有{rows}行，平时约{usual}行",
         "{source}: {rows} rows of {month}, usually some {usual}"),
        ("核对是否重复报送或包含了其他月份、其他县的数据",
         "Ask whether rows are repeated, or of other months or counties."),
    ),
    "half_usual": _kind(
        ("不足一半", "half the usual"),
        ("{source}：{month}只有{rows}行，平时约{usual}行",
         "{source}: only {rows} rows of {month}, usually some {usual}"),
        ("核对文件是否完整、是否漏报乡镇", "Ask whether the file is whole, or a township was left out."),
    ),
    "empty_column": _kind(
        ("某列空白", "an empty column"),
        ("{source}：{month}的“{column}”列几乎为空", "{source}: the column {column} of {month} is all but empty"),
        ("请该单位补填此列后重报", "Ask the sender to fill the column in and deliver it again."),
    ),
    "repeats": _kind(
        ("内容重复", "nothing new"),
        ("{source}：{month}的{rows}行几乎全部早已入库",
         "{source}: of {rows} rows of {month} nearly all were known already"),
        ("核对是否误报了以前月份的文件", "Ask whether an earlier month's file was sent by mistake."),
    ),
    "never": _kind(
        ("从未报送", "never"),
        ("{source}：从未报送", "{source}: never delivered"),
        ("如该单位有此项数据，请联系报送", "If the sender has such records, ask for them."),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that is not as usual. `source`: sender and item in words; no `item` where all of them are meant.

    `usual`: rows of a month, the median of earlier ones. `file`: the file's name, or the day on which it came.
    """

    kind: str
    sender: str
    item: str
    source: Words
    month: str
    rows: int = 0
    usual: int = 0
    column: str = ""
    file: str = ""

    def said(self, language: Language) -> str:
        """The sentence."""
        told = {**vars(self), "source": self.source.said(language)}
        return KINDS[self.kind].sentence.said(language).format(**told)

    def short(self, language: Language) -> str:
        """The kind alone."""
        return KINDS[self.kind].name.said(language)

    def remedy(self, language: Language) -> str:
        """What to do about it."""
        return KINDS[self.kind].remedy.said(language)

    def as_json(self) -> dict[str, object]:
        """All of it, for a program, the sentences in both languages."""
        told = {k: v for k, v in vars(self).items() if k != "source"}
        words = {lang: {"said": self.said(lang), "remedy": self.remedy(lang)} for lang in ("zh", "en")}
        return {**told, **words}
