"""Why the engine does not run, and the way to set it up again. Joins notice, page and session; makes nothing itself."""

from __future__ import annotations

from ..client.failure import Failure
from ..session import Session
from ..translation import Translated
from .engine_page import EnginePage
from .notice_bar import NoticeBar


class EngineTrouble(Translated):
    """Shows the failures of the engine itself, as against those of a run."""

    def __init__(self, session: Session, notice: NoticeBar, page: EnginePage) -> None:
        self._session = session
        self._notice = notice
        self._page = page

    def show(self, failure: Failure) -> None:
        """An engine that never came up can be set up again from here."""
        message = self._session.texts.failure(failure)
        action = self.tr("Set up again") if failure.is_at_start else ""
        self._notice.show_message(
            "error", message.cause, message.cure, message.details, action, lambda: self._lead_to_page(message.cause)
        )

    def _lead_to_page(self, cause: str) -> None:
        self._notice.clear()
        self._page.explain(cause)
        self._session.client.set_aside()
