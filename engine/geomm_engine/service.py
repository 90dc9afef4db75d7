"""The contract's methods in terms of the pipeline. Imports each verb only when it is asked for: "initialize" is quick."""

from __future__ import annotations

import os
import platform
from typing import Any

from geomm_engine import __version__
from geomm_engine.contract import (
    PROTOCOL,
    AnomalyParams,
    AnomalyResult,
    ChipsParams,
    ChipsResult,
    ClassifyParams,
    ClassifyResult,
    EmbedParams,
    EmbedResult,
    Empty,
    ErrorCode,
    ExportParams,
    ExportResult,
    InitializeParams,
    InitializeResult,
    LocateParams,
    LocateResult,
    ModelCardResult,
    ModelParams,
    ModelsResult,
    PreflightParams,
    PreflightResult,
    PresetsResult,
    SearchParams,
    SearchResult,
    TeachParams,
    TeachResult,
)
from geomm_engine.encoders.card import CARD_FILE
from geomm_engine.encoders.device import devices
from geomm_engine.encoders.registry import find_model, list_models
from geomm_engine.errors import EngineError
from geomm_engine.progress import Job
from geomm_engine.rpc.dispatcher import Handler, Starter


def initialize(params: InitializeParams) -> InitializeResult:
    if params.protocol != PROTOCOL:
        raise EngineError(
            ErrorCode.PROTOCOL_MISMATCH,
            f"The plugin speaks protocol {params.protocol}, this engine {PROTOCOL}.",
            "Install plugin and engine of the same version.",
            plugin=params.protocol,
            engine=PROTOCOL,
        )
    return InitializeResult(
        protocol=PROTOCOL,
        engine_version=__version__,
        python_version=platform.python_version(),
        pid=os.getpid(),
        devices=devices(),
        models=tuple(folder.summary() for folder in list_models()),
    )


def models_list(_: Empty) -> ModelsResult:
    return ModelsResult(tuple(folder.summary() for folder in list_models()))


def models_show(params: ModelParams) -> ModelCardResult:
    folder = find_model(params.model)
    return ModelCardResult(folder.card.id, (folder.path / CARD_FILE).read_text(encoding="utf-8"))


def presets_list(_: Empty) -> PresetsResult:
    from geomm_engine.scoring.class_list import presets

    return PresetsResult(presets())


def preflight(params: PreflightParams) -> PreflightResult:
    from geomm_engine.pipeline.preflight import preflight as look

    return look(params)


def shutdown(_: Empty) -> Empty:
    return Empty()


def embed(params: EmbedParams) -> Job[EmbedResult]:
    from geomm_engine.pipeline.embed import embed as verb

    return (yield from verb(params))


def classify(params: ClassifyParams) -> Job[ClassifyResult]:
    from geomm_engine.pipeline.classify import classify as verb

    return (yield from verb(params))


def search(params: SearchParams) -> Job[SearchResult]:
    from geomm_engine.pipeline.search import search as verb

    return (yield from verb(params))


def export(params: ExportParams) -> Job[ExportResult]:
    from geomm_engine.pipeline.search import export as verb

    return (yield from verb(params))


def locate(params: LocateParams) -> Job[LocateResult]:
    from geomm_engine.pipeline.locate import locate as verb

    return (yield from verb(params))


def teach(params: TeachParams) -> Job[TeachResult]:
    from geomm_engine.training.libraries import need_libraries

    need_libraries()
    from geomm_engine.training.teach import teach as verb

    return (yield from verb(params))


def chips(params: ChipsParams) -> Job[ChipsResult]:
    from geomm_engine.pipeline.chips import chips as verb

    return (yield from verb(params))


def anomaly(params: AnomalyParams) -> Job[AnomalyResult]:
    from geomm_engine.pipeline.anomaly import anomaly as verb

    return (yield from verb(params))


def handlers() -> dict[str, Handler]:
    table: dict[str, Any] = {
        "initialize": initialize,
        "models/list": models_list,
        "models/show": models_show,
        "presets/list": presets_list,
        "preflight": preflight,
        "shutdown": shutdown,
    }
    return table


def jobs() -> dict[str, Starter]:
    table: dict[str, Any] = {
        "embed": embed,
        "classify": classify,
        "search": search,
        "export": export,
        "locate": locate,
        "teach": teach,
        "chips": chips,
        "anomaly": anomaly,
    }
    return table
