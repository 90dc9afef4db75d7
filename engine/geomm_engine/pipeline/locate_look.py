"""What the geographic expert sees in a picture: every tile asked, all tiles joined. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.geography.expert import Expert, ExpertAnswer
from geomm_engine.geography.map_match import Weights, WorldMaps
from geomm_engine.geography.posterior import independent_looks, moved, pool, world_points
from geomm_engine.geography.world_density import WorldDensity
from geomm_engine.pipeline import locate_tiles
from geomm_engine.pipeline.locate_sampling import Tile, read_tile
from geomm_engine.pipeline.locate_tiles import Picture, Scale
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.sphere import Values

LOST = 0.5
"""From this probability on, the expert says that a picture cannot be placed."""


@dataclass(frozen=True)
class Sight:
    """What an expert sees in one picture, all tiles together.

    ``log_density`` (cell,) of the picture's middle; ``climate`` (31,) sums to one; ``season`` (2,) a natural vector;
    ``abstain`` 0–1; ``embedding`` (dim,) of unit length.
    """

    log_density: Values
    climate: Values
    season: Values
    abstain: float
    embedding: Values
    tiles: int
    tiles_empty: int
    scales: tuple[Scale, ...]

    @property
    def is_lost(self) -> bool:
        return self.abstain >= LOST


class Locator:
    """An expert with its kernels at all cells of the world, ready for any number of pictures."""

    def __init__(self, expert: Expert) -> None:
        self.expert = expert
        self._world = WorldDensity(expert.centres, expert.kappa)

    def look(self, picture: Picture) -> Job[list[Sight]]:
        """One sight, or one for every ground size that is tried.

        Raises:
            RasterError: the picture shows too little, is too coarse, or holds no data.
        """
        card = self.expert.card
        pictures = [picture]
        if picture.own_place is None and any(note.code == "ground_size_unknown" for note in picture.notes):
            pictures = [picture.resized(1000 * gsd) for gsd in locate_tiles.guesses_km(picture.extent, card)]
        plans = [
            (
                item,
                [(scale, locate_tiles.tile_windows(item, scale)) for scale in locate_tiles.scales(item.extent, card)],
            )
            for item in pictures
        ]
        watch = Stopwatch("look", sum(len(windows) for _, plan in plans for _, windows in plan))
        sights = []
        for item, plan in plans:
            tiles: list[Tile] = []
            for scale, windows in plan:
                for window in windows:
                    tiles.append(read_tile(item, window, scale))
                    yield watch.step()
            sights.append(self.see(tiles))
        return sights

    def see(self, tiles: Sequence[Tile]) -> Sight:
        """What all tiles of one picture say together.

        Raises:
            RasterError: no tile holds enough data.
        """
        filled = [tile for tile in tiles if tile.is_filled]
        if not filled:
            raise RasterError(
                ErrorCode.RASTER_EMPTY,
                "No part of the extent holds enough data to be looked at.",
                "Check the nodata value in the layer's properties, or choose another area or layer.",
            )
        # A tile counts as much as the whole picture: that was better on the validation blocks.
        weight = np.array([tile.valid_share for tile in filled])
        answer = self.ask(filled)
        trust = weight * np.clip(1.0 - answer.abstain / LOST, 0.0, 1.0)
        calibration = self.expert.card.calibration
        correlation = calibration.tile_correlation
        log_density = self.pooled(filled, answer, trust, correlation)
        climate = (weight / weight.sum()) @ np.exp(answer.climate_log_p)
        maps = self.expert.maps
        weights = Weights(calibration.land_weight, calibration.climate_weight)
        if maps is not None and trust.sum() > 0 and weights.are_any:
            log_density = log_density + self._on_maps(maps, filled, answer, weights)
            log_density = calibration.sureness * log_density
            climate = climate + calibration.climate_by_place * (maps.climate_where(log_density) - climate)
        share = trust if trust.sum() > 0 else weight
        share = share / share.sum()
        embedding = share @ answer.embedding.astype(np.float64)
        return Sight(
            log_density=log_density,
            climate=climate,
            season=share @ answer.season * independent_looks(float(trust.sum()), correlation),
            abstain=float(weight @ answer.abstain / weight.sum()),
            embedding=embedding / max(float(np.linalg.norm(embedding)), 1e-12),
            tiles=len(filled),
            tiles_empty=len(tiles) - len(filled),
            scales=tuple(dict.fromkeys(tile.scale for tile in filled)),
        )

    def pooled(self, tiles: Sequence[Tile], answer: ExpertAnswer, trust: Values, correlation: float) -> Values:
        """(cell,) what the tiles say of the picture's middle, without any map."""
        offsets_km = np.array([tile.offset_km for tile in tiles])
        return pool(self._world.log_density(answer.log_weights), trust, offsets_km, correlation=correlation)

    def _on_maps(self, maps: WorldMaps, tiles: Sequence[Tile], answer: ExpertAnswer, weights: Weights) -> Values:
        """(cell,) where the largest tiles fit the maps. Tiles that overlap share their word."""
        widest = max(tile.scale.tile_km for tile in tiles)
        rows = [at for at, tile in enumerate(tiles) if tile.scale.tile_km == widest]
        spans_km = np.ptp([tiles[at].offset_km for at in rows], axis=0) + widest
        total = np.zeros(len(world_points()))
        for at in rows:
            fits = maps.log_likelihood(answer.land[at], answer.climates[at], widest, weights)
            total += moved(fits, *tiles[at].offset_km)
        return total * min(1.0, float(spans_km.prod()) / (len(rows) * widest**2))

    def ask(self, tiles: Sequence[Tile]) -> ExpertAnswer:
        """Tiles of one size at a time, in the order given."""
        parts: list[tuple[list[int], ExpertAnswer]] = []
        for px in sorted({tile.scale.tile_px for tile in tiles}):
            places = [at for at, tile in enumerate(tiles) if tile.scale.tile_px == px]
            images = np.stack([tiles[at].image for at in places])
            gsd_m = np.array([tiles[at].scale.gsd_km * 1000 for at in places])
            parts.append((places, self.expert.answer(images, gsd_m)))
        order = np.argsort(np.concatenate([places for places, _ in parts]))
        joined = (
            np.concatenate([getattr(answer, name) for _, answer in parts])[order]
            for name in (item.name for item in fields(ExpertAnswer))
        )
        return ExpertAnswer(*joined)
