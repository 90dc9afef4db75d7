"""What a run would do, before it is started: bands, unit, ground pixel, tiles, time; and every reason against it."""

from __future__ import annotations

import math

from geomm_engine.contract import Level, Note, PreflightParams, PreflightResult
from geomm_engine.encoders.device import chosen_device
from geomm_engine.encoders.tokenizer import Tokenizer
from geomm_engine.errors import EngineError
from geomm_engine.index.store import EmbeddingIndex
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline.embed import index_folder, known_speed, tile_count
from geomm_engine.pipeline.locate_preflight import preflight_locate
from geomm_engine.pipeline.prepare import Prepared, prepare
from geomm_engine.pipeline.words import word_remarks

_ORDER = {Level.RED: 0, Level.AMBER: 1, Level.GREEN: 2}


def preflight(params: PreflightParams) -> PreflightResult:
    """Look, decide, count; compute nothing. What would be refused comes back as a RED note instead of an error."""
    if params.verb == "locate":
        return preflight_locate(params)
    device = chosen_device(params.device)
    try:
        prepared = prepare(params.source, params.model)
        _check_words(prepared, params.words)
        shape = areas.to_grid(params.area, prepared.grid)
        folder = index_folder(prepared)
        done = EmbeddingIndex.open(folder).done() if folder.exists() else set()
    except EngineError as problem:
        note = Note(problem.code.value, Level.RED, f"{problem.text} {problem.cure}".strip(), problem.facts)
        return PreflightResult(Level.RED, (note,), (), "", 0.0, 0.0, 0, 0, 0.0, device, "")
    chunks = areas.chunks_touching(prepared.grid, shape)
    total = sum(tile_count(prepared.grid, chunk) for chunk in chunks)
    tiles_done = sum(tile_count(prepared.grid, chunk) for chunk in chunks if chunk in done)
    found = (*prepared.notes, *word_remarks(prepared.folder, params.words))
    notes = tuple(sorted(found, key=lambda note: _ORDER[note.level]))
    return PreflightResult(
        level=notes[0].level if notes else Level.GREEN,
        notes=notes,
        bands=tuple(band.role for band in prepared.bands),
        radiometry=prepared.radiometry.text,
        gsd_m=math.sqrt(math.prod(prepared.grid.pixel_m_yx)),
        tile_m=prepared.grid.tile_m,
        tiles_total=total,
        tiles_done=tiles_done,
        estimate_s=round((total - tiles_done) / known_speed(prepared.card.id, device), 2),
        device=device,
        index_dir=str(folder),
    )


def _check_words(prepared: Prepared, words: tuple[str, ...]) -> None:
    if words:
        Tokenizer(prepared.folder.file("tokenizer"), prepared.card.text.context_length).encode(words)
