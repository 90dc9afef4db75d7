"""Runs: what was asked, of what, when, and where the answer lies. Kept with the project; knows no widget."""

from __future__ import annotations

import dataclasses
import json
import uuid
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QDateTime, Qt

from . import log
from .client import contract

SCOPE = "geomm"
RUNS_KEY = "/runs"
STATE_KEY = "/state"
KEPT_RUNS = 30


@dataclass(frozen=True)
class Run:
    """One classify, search or locate run. ``params`` is the contract's message, so a run can be repeated as it was."""

    id: str
    kind: str
    time: str
    words: str
    layer_name: str
    params: Any
    is_done: bool = False
    index_dir: str = ""
    result: Any = None

    @property
    def output_dir(self) -> str:
        return str(self.params.output_dir)

    @property
    def clock(self) -> str:
        """Hour and minute for the list."""
        moment = QDateTime.fromString(self.time, Qt.DateFormat.ISODate)
        return moment.toString("HH:mm") if moment.isValid() else self.time


def new_run(kind: str, words: str, layer_name: str, params: Any) -> Run:
    now = QDateTime.currentDateTime().toString(Qt.DateFormat.ISODate)
    return Run(uuid.uuid4().hex[:12], kind, now, words, layer_name, params)


def finished(run: Run, result: Any) -> Run:
    return dataclasses.replace(run, is_done=True, index_dir=getattr(result, "index_dir", ""), result=result)


def _as_json(run: Run) -> Dict[str, Any]:
    return {item.name: contract.encode(getattr(run, item.name)) for item in dataclasses.fields(run)}


def _from_json(value: Dict[str, Any]) -> Run:
    """A stored run.

    Raises:
        ContractError, KeyError, TypeError: it was stored by another version.
    """
    shape, result_shape = contract.JOBS[value["kind"]]
    params = contract.decode(shape, value["params"])
    result = contract.decode(result_shape, value["result"]) if value.get("result") else None
    return Run(**{**value, "params": params, "result": result})


class RunStore:
    """The runs of the open project, newest first, written into the project at every change."""

    def __init__(self) -> None:
        self._runs: List[Run] = []

    @property
    def runs(self) -> Tuple[Run, ...]:
        return tuple(self._runs)

    def find(self, run_id: str) -> Optional[Run]:
        return next((run for run in self._runs if run.id == run_id), None)

    def put(self, run: Run) -> None:
        """Adds a run, or replaces the one of the same id in its place."""
        for place, other in enumerate(self._runs):
            if other.id == run.id:
                self._runs[place] = run
                break
        else:
            self._runs.insert(0, run)
        del self._runs[KEPT_RUNS:]
        self._write()

    def remove(self, run_id: str) -> None:
        self._runs = [run for run in self._runs if run.id != run_id]
        self._write()

    def load(self) -> None:
        """Reads the runs of the project that is open now; unreadable ones are left out and logged."""
        self._runs = []
        text, is_there = QgsProject.instance().readEntry(SCOPE, RUNS_KEY, "")
        for value in _json_list(text) if is_there else []:
            try:
                self._runs.append(_from_json(value))
            except (contract.ContractError, KeyError, TypeError) as problem:
                log.warning(f"a stored run was not understood: {problem}")

    def _write(self) -> None:
        text = json.dumps([_as_json(run) for run in self._runs if run.is_done])
        QgsProject.instance().writeEntry(SCOPE, RUNS_KEY, text)


def read_state() -> Dict[str, Any]:
    """What the dock's fields held when the project was saved."""
    text, is_there = QgsProject.instance().readEntry(SCOPE, STATE_KEY, "")
    if not is_there:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def write_state(state: Dict[str, Any]) -> None:
    QgsProject.instance().writeEntry(SCOPE, STATE_KEY, json.dumps(state))


def _json_list(text: str) -> List[Dict[str, Any]]:
    try:
        value = json.loads(text)
    except ValueError:
        return []
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
