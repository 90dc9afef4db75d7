"""What the runs of one press said: of several layers each is named, and no message takes the place of another's."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Tuple

from .. import runs
from ..error_texts import Message
from .notice_bar import NoticeBar

_MILD_TO_BAD = ("success", "info", "warning", "error")


class RunMessages:
    """Gathers messages where several layers run, and shows them in the colour of the worst."""

    def __init__(self, notice: NoticeBar) -> None:
        self._notice = notice
        self._said: List[Tuple[str, Message]] = []
        self.is_batch = False

    def begin(self, layers: int) -> None:
        """So many layers start to run; what was said before is forgotten."""
        self._said.clear()
        self.is_batch = layers > 1

    @property
    def has_any(self) -> bool:
        """Whether one of several layers has said something."""
        return bool(self._said)

    def say(self, run: runs.Run, kind: str, message: Message) -> None:
        """``kind`` as in :meth:`NoticeBar.show_message`."""
        if self.is_batch:
            self._said.append((kind, replace(message, cause=f"{run.layer_name}: {message.cause}")))
            kind = max((item for item, _ in self._said), key=_MILD_TO_BAD.index)
            texts = [f"{item.cause} {item.cure}" for _, item in self._said]
            details = "\n".join(item.details for _, item in self._said if item.details)
            message = Message("", "\n".join(texts), details)
        self._notice.show_message(kind, message.cause, message.cure, message.details)
