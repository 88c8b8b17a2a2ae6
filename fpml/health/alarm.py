"""One alarm: what is wrong in a month, of what, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from fpml.catalogue import Language, Watching, Words


@dataclass(frozen=True)
class Alarm:
    """What is wrong in a month: the monitor that says so, of what, and the facts that its sentence is filled with.

    `also`: a further sentence, where policy has one for what is known besides.
    """

    monitor: str
    month: str
    of: Words
    facts: Mapping[str, str]
    also: bool = False

    def said(self, watching: Watching, language: Language) -> str:
        """The alarm as a sentence."""
        of, monitor = self.of.said(language), watching.monitors[self.monitor]
        told = monitor.says.said(language)
        if self.also and monitor.also:
            told += monitor.also.said(language)
        return told.format(source=of, indicator=of, month=self.month, **self.facts)

    def as_json(self, watching: Watching) -> dict[str, object]:
        """The same for a program, with its sentence and remedy in both languages."""
        remedy = watching.monitors[self.monitor].remedy
        words: dict[str, object] = {
            lang: {"said": self.said(watching, lang), "remedy": remedy.said(lang)} for lang in ("zh", "en")
        }
        return {"monitor": self.monitor, "month": self.month, **self.facts, **words}
