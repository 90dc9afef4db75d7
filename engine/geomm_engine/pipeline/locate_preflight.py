"""What locating a layer would do, before it is started: ground pixel, tiles, and every reason against it."""

from __future__ import annotations

import math

from geomm_engine.contract import Level, Note, PreflightParams, PreflightResult
from geomm_engine.errors import EngineError
from geomm_engine.geography.expert_card import find_expert
from geomm_engine.pipeline.locate_tiles import ROLES, guesses_km, open_picture, scales, tile_windows

_ORDER = {Level.RED: 0, Level.AMBER: 1, Level.GREEN: 2}
_SECONDS = 4.0
_TILES_A_SECOND = 60.0
"""Of two processors; looking at a tile takes a fraction of drawing the maps."""


def preflight_locate(params: PreflightParams) -> PreflightResult:
    """Look at the layer as the expert would; what would be refused comes back as a RED note instead of an error."""
    try:
        card = find_expert(params.model).card
        with open_picture(params.source, params.area, 0.0) as picture:
            if any(note.code == "ground_size_unknown" for note in picture.notes):
                pictures = [picture.resized(1000 * gsd) for gsd in guesses_km(picture.extent, card)]
            else:
                pictures = [picture]
            plans = [(item, scale) for item in pictures for scale in scales(item.extent, card)]
            tiles = sum(len(tile_windows(item, scale)) for item, scale in plans)
            found, radiometry = picture.notes, picture.radiometry.text
            gsd_m = math.sqrt(math.prod(picture.extent.pixel_m_yx))
            tile_m = 1000 * plans[0][1].tile_km
    except EngineError as problem:
        note = Note(problem.code.value, Level.RED, f"{problem.text} {problem.cure}".strip(), problem.facts)
        return PreflightResult(Level.RED, (note,), (), "", 0.0, 0.0, 0, 0, 0.0, "cpu", "")
    notes = tuple(sorted(found, key=lambda note: _ORDER[note.level]))
    level = notes[0].level if notes else Level.GREEN
    seconds = _SECONDS + tiles / _TILES_A_SECOND
    return PreflightResult(level, notes, ROLES, radiometry, gsd_m, tile_m, tiles, 0, round(seconds, 1), "cpu", "")
