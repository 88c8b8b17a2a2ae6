"""Why a row is refused: each reason has a name, a code that never changes, and a remedy.

The first digit says what is at fault: 1 the row, 2 whom it tells of, 3 its dates, 4 what it tells, 5 that it does not
agree with what is known.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int16]
# What becomes of a fact that is not refused.
ACCEPTED, ALREADY_KNOWN, CORRECTION = 0, 1, 2
TAKEN = (ACCEPTED, CORRECTION)


@dataclass(frozen=True)
class Reason:
    """A reason in words, and what its sender may do about it, in both languages."""

    code: int
    zh: str
    remedy_zh: str
    remedy: str


REASONS = {
    "torn_row": Reason(
        101, "单元格数不符", "补齐或删去多余的单元格后重报", "The row has too few or too many cells: deliver it again."
    ),
    "nothing_told": Reason(
        102, "没有填报内容", "填写数值或日期", "No cell of the row tells anything: fill it in, or leave the row out."
    ),
    "unknown_token": Reason(
        103, "更正编号不认识", "使用退回的工作簿，不要改动更正编号",
        "The line names no refused row: fill in the workbook that was sent, and leave its tokens alone.",
    ),
    "no_household": Reason(201, "缺少户", "填写户编号或户主身份证号", "Say which household the fact belongs to."),
    "no_person": Reason(202, "缺少人员", "填写身份证号", "The indicator is told for each person: say whom."),
    "person_not_expected": Reason(
        203, "不应填人员", "按户填报，人员留空", "The indicator is told for the household: leave person_id empty."
    ),
    "rounded_id_number": Reason(
        204, "身份证号被Excel取整", "把该列设为文本后重新填写全部18位",
        "Excel rounded the ID number: format the column as text, and enter all 18 characters again.",
    ),
    "wrong_check_digit": Reason(
        205, "身份证号校验码不符", "核对身份证号",
        "The ID number's check character is wrong: compare it with the document.",
    ),
    "wrong_length": Reason(206, "身份证号位数不符", "核对身份证号", "The ID number has the wrong length: check it."),
    "bad_birth_date": Reason(
        207, "身份证号中出生日期不成立", "核对身份证号", "The ID number holds no real date of birth: check it."
    ),
    "not_an_id_number": Reason(
        208, "不是身份证号", "填写身份证号", "That is no ID number: enter its 18 characters."
    ),
    "unknown_person": Reason(
        209, "登记库中没有此人", "登记库更新后自动补入；如有误请核对身份证号",
        "The register does not know the person; when it does, the row is taken in. Check the number if in doubt.",
    ),
    "unknown_household": Reason(
        210, "登记库中没有此户", "登记库更新后自动补入；如有误请核对户编号",
        "The register does not know the household; when it does, the row is taken in. Check the code if in doubt.",
    ),
    "bad_key": Reason(
        211, "编号含有不允许的字符", "编号只用字母、数字和短横线，不超过64位",
        "A number or code with characters that none has: letters, digits and hyphens, 64 at most.",
    ),
    "id_number_as_key": Reason(
        212, "编号栏填了身份证号", "编号栏不得填写身份证号",
        "An ID number stands where a code belongs: it is never kept. Enter the code.",
    ),
    "bad_date": Reason(301, "日期不成立", "日期写成2024-03-05", "Write dates as 2024-03-05."),
    "no_date": Reason(302, "缺少日期", "填写日期", "Say when it happened."),
    "event_after_known": Reason(
        303, "发生日期晚于报送日期", "核对日期", "A fact cannot be known before it happened: check both dates."
    ),
    "until_before_event": Reason(
        304, "截止日期早于开始日期", "核对两个日期", "The last day lies before the first: check both dates."
    ),
    "until_not_expected": Reason(
        305, "不应填截止日期", "该项没有截止日期，请留空", "Only a status goes on until a day: leave until_date empty."
    ),
    "known_in_future": Reason(
        306, "报送日期在今天之后", "核对报送日期", "The known date lies after the day of intake: check it."
    ),
    "unknown_indicator": Reason(
        401, "指标名称不认识", "核对指标名称", "Mend the indicator's name, or add it to policy/indicators.yaml."
    ),
    "not_a_number": Reason(402, "不是数字", "只填数字", "Write the value as digits, with a point for decimals."),
    "too_many_decimals": Reason(
        403, "小数位数过多", "按规定小数位填写", "Round to the decimals that the indicator has."
    ),
    "out_of_range": Reason(
        404, "数值过大", "核对数值和单位", "The number is too large to be true: check it and its unit."
    ),
    "negative": Reason(405, "不应为负数", "核对数值", "The value cannot be below zero."),
    "no_event": Reason(
        406, "次数为零", "未发生则不报，或填作废",
        "An event is told when it happened: leave the row out, or withdraw the record.",
    ),
    "unknown_code": Reason(407, "代码不认识", "使用规定代码", "Use one of the codes in policy/indicators.yaml."),
    "unknown_word": Reason(
        408, "内容不在规定选项中", "使用规定选项",
        "Use one of the words that policy/departments.yaml lists for the column.",
    ),
    "formula_error": Reason(
        409, "公式出错", "改为数值后重报", "The cell's formula failed: write the value itself."
    ),
    "other_household": Reason(
        501, "同一编号曾报给别的户或人", "先作废原记录，再用新编号报送",
        "The record was told of another household: withdraw it there, and send it with a new number.",
    ),
    "conflict": Reason(
        502, "同一天报了两个不同的值", "用更晚的报送日期重报正确的值",
        "Two values for one fact, known on the same day: send the right one with a later known date.",
    ),
}  # fmt: skip
CODES = {name: reason.code for name, reason in REASONS.items()}
NAMES = {reason.code: name for name, reason in REASONS.items()}
# What may come right without a word from the sender: when the register catches up.
WAITING = (CODES["unknown_person"], CODES["unknown_household"])


class Faults:
    """The first reason against each of some facts or rows."""

    def __init__(self, size: int) -> None:
        self.codes = np.zeros(size, np.int16)

    def refuse(self, where: npt.NDArray[np.bool_], reason: str) -> None:
        """Notes a reason where there is none yet."""
        self.codes[where & (self.codes == ACCEPTED)] = CODES[reason]

    def take(self, found: Codes) -> None:
        """Notes reasons found elsewhere."""
        free = self.codes == ACCEPTED
        self.codes[free] = found[free]

    def refuse_by(self, fault: npt.NDArray[np.integer], names: tuple[str, ...]) -> None:
        """Notes for each the reason that a number stands for: the first of the names for 1; 0 for none."""
        codes = np.array([ACCEPTED, *(CODES[n] for n in names)], np.int16)[fault]
        free = self.codes == ACCEPTED
        self.codes[free] = codes[free]
