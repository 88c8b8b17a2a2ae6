"""Progress on the screen: one live bar in a terminal, a few lines in a log."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

# A log gets a line at every such share of a stage.
STEP = 0.1


class _Left(ProgressColumn):
    """The time left, counted down between one telling and the next; nothing where nobody knows."""

    def render(self, task: Task) -> Text:
        ends = task.fields.get("ends")
        if ends is None:
            return Text("")
        minutes, seconds = divmod(max(0, round(ends - time.monotonic())), 60)
        return Text(f"{minutes}:{seconds:02d} left", style="progress.remaining")


class Screen:
    """Where a command tells how far it is. Until `show` is called nothing is shown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Bar | None = None
        self._told = -1

    def __enter__(self) -> Self:
        self._bar, self._told = None, -1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._bar:
            self._bar.stop()
        self._bar = None

    def show(self, what: str, share: float | None = None, left: float | None = None) -> None:
        """The stage under way, and how much of it is done and how many seconds are left, where that is known."""
        if self._console.is_terminal:
            self._move(what, share, left)
        else:
            self._log(what, share)

    def _move(self, what: str, share: float | None, left: float | None) -> None:
        if self._bar is None:
            text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1))
            parts = (SpinnerColumn(), text, BarColumn(30), TaskProgressColumn(), _Left())
            self._bar = Bar(*parts, console=self._console, transient=True, expand=True)
            self._bar.add_task(what, total=None, ends=None)
            self._bar.start()
        task = self._bar.task_ids[0]
        ends = None if left is None else time.monotonic() + left
        total = None if share is None else 1.0
        self._bar.update(task, description=what, total=total, completed=share or 0.0, ends=ends)

    def _log(self, what: str, share: float | None) -> None:
        step = -1 if share is None else int(share / STEP + 1e-9)
        if share is None or step > self._told or step < self._told - 1:
            done = "" if share is None else f" ({share:.0%})"
            self._console.print(f"· {what}{done}", style="dim", highlight=False, markup=False)
            self._told = step
