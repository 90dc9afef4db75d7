"""What a failed request says of itself. Knows codes and facts; the wording for people is in ``error_texts``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Union

# Codes of the plugin's own, beside contract.ErrorCode.
ENGINE_ABSENT = "engine_absent"
ENGINE_NOT_STARTED = "engine_not_started"
ENGINE_STOPPED = "engine_stopped"
ENGINE_SILENT = "engine_silent"
ENGINE_GARBLED = "engine_garbled"
ENGINE_KEEPS_STOPPING = "engine_keeps_stopping"


@dataclass(frozen=True)
class Failure:
    """``text`` and ``cure`` are English fallbacks; ``details`` is for a report, not for the first glance.

    ``is_at_start``: the engine never came up, so asking again cannot help, another engine may.
    """

    code: str
    text: str = ""
    cure: str = ""
    facts: Dict[str, Union[str, int, float, bool]] = field(default_factory=dict)
    details: str = ""
    is_at_start: bool = False


class JobFailed(Exception):
    """A blocking job ended without a result."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text or failure.code)
        self.failure = failure
