"""Teaching a new sensor from layers: what the dock and Processing ask for, as one job from rasters to an installed model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from geomm_engine.contract import BridgeLine, ErrorCode, Level, Note, TeachParams, TeachResult
from geomm_engine.encoders.card import Bridge
from geomm_engine.encoders.registry import find_model, user_models_folder
from geomm_engine.errors import ModelError, OutputError, WordsError, writing
from geomm_engine.pipeline.embed import cache_folder
from geomm_engine.progress import Job, Progress
from geomm_engine.training.bridge import AGREEMENT
from geomm_engine.training.chain import train_chain
from geomm_engine.training.chain_config import (
    DEFAULT_WORDS,
    BandJitter,
    ChainConfig,
    ChainFacts,
    RasterPair,
    checked,
    default_schedule,
)
from geomm_engine.training.chain_data import Lessons
from geomm_engine.training.chain_export import export_student
from geomm_engine.training.device import choose_device

_WEAK_MARGIN = 0.15


def teach(params: TeachParams) -> Job[TeachResult]:
    """Train a student and put it among the person's models. Cancelled, it leaves no model.

    Raises:
        WordsError: the name holds no letter or digit.
        OutputError: there is a model of this name already, or the folder cannot be written.
        EngineError: what the rasters and the teacher refuse.
    """
    model_id = model_id_of(params.name)
    folder = Path(params.output_dir) if params.output_dir else user_models_folder() / model_id
    _check_free(model_id, folder)
    lessons = Lessons(_config(params, model_id), Path())
    run_dir = cache_folder() / "lessons" / model_id
    with writing(run_dir):
        shutil.rmtree(run_dir, ignore_errors=True)
    result = yield from train_chain(lessons, run_dir, device=choose_device(params.device))
    yield Progress("measure", 0, 1)
    exported = export_student(lessons, run_dir, folder)
    yield Progress("measure", 1, 1)
    model = find_model(str(exported.folder))
    return TeachResult(
        model=model.summary(),
        model_dir=str(exported.folder),
        run_dir=str(run_dir),
        agreement=result.agreement,
        bridge=lines(exported.bridge),
        notes=(*_remarks(exported.bridge), *lessons.notes),
    )


def model_id_of(name: str) -> str:
    """ "Radar VV/VH" → "radar-vv-vh".

    Raises:
        WordsError: nothing is left of the name.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    if not plain:
        raise WordsError(ErrorCode.TEXT_EMPTY, "The new model has no name.", "Type one, such as “Radar of my valley”.")
    return plain


def _check_free(model_id: str, folder: Path) -> None:
    taken: Path | None
    try:
        taken = find_model(model_id).path
    except ModelError:
        taken = folder if folder.exists() and any(folder.iterdir()) else None
    if taken is not None:
        raise OutputError(
            ErrorCode.OUTPUT_NOT_WRITABLE,
            f"There is a model “{model_id}” already, in {taken}.",
            "Choose another name, or delete that folder.",
            path=str(taken),
        )


def _config(params: TeachParams, model_id: str) -> ChainConfig:
    target, reference = params.target, params.reference
    pair = RasterPair(
        teacher=reference.paths,
        student=target.paths,
        name=target.name,
        teacher_roles=reference.roles,
        student_roles=target.roles,
        teacher_unit=reference.unit,
        student_unit=target.unit,
    )
    return checked(
        ChainConfig(
            id=model_id,
            seed=1,
            pairs=(pair,),
            schedule=default_schedule(params.steps),
            teacher=params.teacher,
            bands=params.bands,
            probe_words=params.words or DEFAULT_WORDS,
            jitter=BandJitter(),
            card=ChainFacts(name=params.name.strip()),
        )
    )


def lines(bridge: Bridge) -> tuple[BridgeLine, ...]:
    """The report as the contract says it."""
    return tuple(
        BridgeLine(
            row.route, row.model, row.metric, row.value, row.interval_95[0], row.interval_95[1], row.chance, row.tiles
        )
        for row in bridge.rows
    )


def _remarks(bridge: Bridge) -> list[Note]:
    row = next((row for row in bridge.rows if row.metric == AGREEMENT), None)
    if row is None or row.interval_95[0] > row.chance + _WEAK_MARGIN:
        return []
    text = (
        f"The student chooses the teacher's word for {row.value:.0%} of the held-out tiles, guessing would for {row.chance:.0%}: "
        "it has learnt little. More and more varied ground helps most, then more steps."
    )
    return [Note("student_weak", Level.AMBER, text, {"agreement": row.value, "chance": row.chance})]
