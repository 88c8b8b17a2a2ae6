"""The words of the pages, in both languages."""

from fpml.catalogue import Language

# How a month of a sender stands: its sign and what it means, so that colour alone tells nothing.
STATES: dict[str, dict[Language, tuple[str, str]]] = {
    "arrived": {"zh": ("✓", "按时报送"), "en": ("✓", "came in time")},
    "late": {"zh": ("迟", "报送月份晚于平时"), "en": ("L", "came in a later month than usual")},
    "unusual": {"zh": ("异", "行数、列或内容与平时不同"), "en": ("!", "rows, a column or the content not as usual")},
    "missing": {"zh": ("缺", "应报未报"), "en": ("M", "due, and has not come")},
    "refused": {"zh": ("退", "有文件整份退回，尚未补报"), "en": ("R", "a file refused whole and not yet replaced")},
    "": {"zh": ("·", "没有报送，也未到应报时间或本来少有"), "en": ("·", "nothing came, and nothing had to")},
}
WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "数据报送情况", "as_of": "截至", "simulated": "模拟数据：本页所列均非真实住户", "files": "文件",
        "rows": "行数", "accepted": "入库", "waiting": "其中待登记库更新", "quarantined": "隔离", "refused": "整份退回",
        "corrected": "其中更正", "known": "早已入库", "file": "文件", "day": "报送日", "notes": "备注",
        "found": "需要核对", "nothing": "最近两个月的报送与平时一致。", "todo": "处理", "grid": "各单位各月报送",
        "source": "单位", "list": "全部文件", "came": "{0} 报送", "never": "从未报送的项目",
        "never_said": "下列项目从未报送。多数本来少有，请对照业务判断。", "legend": "图例", "terms": "说明",
        "note_header": "表头“{0}”按“{1}”读取", "note_column": "未用列“{0}”", "note_gb18030": "编码GB18030",
        "note_byte_order_mark": "带BOM", "note_tab": "制表符分隔", "note_semicolon": "分号分隔",
        "none": "尚无报送。", "why": "退回原因", "file_unit": "份", "row_unit": "行", "comma": "；", "colon": "：",
        "more": "另有{0}项，见各月表格",
    },
    "en": {
        "title": "Deliveries", "as_of": "as of", "simulated": "Simulated: no household on this page is real",
        "files": "files", "rows": "rows", "accepted": "accepted", "waiting": "of these waiting for the register",
        "quarantined": "quarantined", "refused": "refused whole", "corrected": "of these corrected",
        "known": "already known", "file": "file", "day": "delivered", "notes": "notes", "found": "To look into",
        "nothing": "The two latest months came as usual.", "todo": "What to do", "grid": "Sources by month",
        "source": "source", "list": "All files", "came": "Delivered in {0}", "never": "Items that never came",
        "never_said": "None of these has ever come. Most are rare; whether they should have come is for you to judge.",
        "legend": "Signs", "terms": "Terms", "note_header": "header “{0}” read as “{1}”",
        "note_column": "column “{0}” not used", "note_gb18030": "GB18030", "note_byte_order_mark": "byte order mark",
        "note_tab": "tabs", "note_semicolon": "semicolons", "none": "Nothing has come yet.", "why": "Refused",
        "file_unit": "files", "row_unit": "rows", "comma": "; ", "colon": ": ",
        "more": "and {0} more, in the table of months",
    },
}  # fmt: skip
TERMS: dict[Language, tuple[tuple[str, str], ...]] = {
    "zh": (
        ("入库", "该行的内容已写入台账；“其中更正”是对已入库内容的更正。"),
        ("早已入库", "该行的内容与台账一致，重复报送不会重复计算。"),
        ("隔离", "该行有问题，未入库；原因和处理办法见退回该单位的工作簿。"),
        ("其中待登记库更新", "登记库中暂无此人或此户；登记库更新后自动入库。"),
        ("平时", "该单位该项以前最多12个月的中位行数；不足3个月时不作比较。"),
        ("应报未报", "按该单位的报送周期和以往报送日，超过7天仍未收到。少有的事项（死亡、事故、灾害等）不作此判断。"),
    ),
    "en": (
        ("accepted", "What the row tells is in the ledger; “corrected” are those of them that tell a known fact anew."),
        ("already known", "The ledger says the same: what is sent twice does not count twice."),
        ("quarantined", "The row is at fault and not in the ledger; why, and what to do, is in its sender's workbook."),
        ("waiting", "The register does not know the person or household yet; the row is taken in when it does."),
        ("usually", "The median rows of the up to 12 months before; nothing is said before there are 3."),
        ("due", "By the sender's cadence and usual day, and 7 days over. Not said of rare events (deaths, disasters)."),
    ),
}
