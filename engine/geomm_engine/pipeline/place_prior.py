"""What each class's odds are at the cells of a layer, before the picture is looked at: from a raster, or a location tower."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geomm_engine.contract import ErrorCode, Fact, Level, Note, PlacePrior
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.location.tower import LocationTower, open_location_tower
from geomm_engine.errors import EngineError, RasterError, WordsError
from geomm_engine.grid import TileGrid
from geomm_engine.pipeline.mapping import MARGIN, Region
from geomm_engine.scoring.location_prior import PriorTable, mean_known
from geomm_engine.scoring.prompts import Prompt
from geomm_engine.scoring.zero_shot import probabilities

_SAMPLES = 4
"""A cell's prior is the mean over so many places along each side."""
_KEPT = 0.8
"""How likely a class of an earlier map is to be there still, where no table says otherwise."""
_UNKNOWN_VALUE = 255
_STRONG = 2.0
_NAMED = 8


class _Source(Protocol):
    def at(self, grid: TileGrid, region: Region) -> NDArray[np.float32]:
        """(rows + 2·MARGIN, cols + 2·MARGIN, prompt) float32, rows sum to 1; NaN where nothing is known."""
        ...


@dataclass
class PriorField:
    """A prior over the cells of a layer, and how much it counts; ``text`` says it to a person, ``silence`` its lack of effect.

    It remembers whether any cell that was asked for is known to it: a prior of other ground counts nowhere.
    """

    strength: float
    text: str
    source: _Source
    silence: str
    remarks: tuple[Note, ...] = ()
    is_heard: bool = False

    def at(self, grid: TileGrid, region: Region, present: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(n, prompt) float32 for the present cells of a region with its margin; NaN where nothing is known."""
        found = self.source.at(grid, region)[present]
        self.is_heard |= bool(np.isfinite(found).all(axis=1).any())
        return found

    def notes(self) -> tuple[Note, ...]:
        """What is to be said of it, once the cells were asked for."""
        facts: dict[str, Fact] = {"strength": self.strength}
        if not self.is_heard:
            return (*self.remarks, Note("place_prior_silent", Level.AMBER, self.silence, facts))
        level = Level.AMBER if self.strength > _STRONG else Level.GREEN
        return (*self.remarks, Note("place_prior", level, f"{self.text}.", facts))


def prior_field(
    prior: PlacePrior | None, prompts: tuple[Prompt, ...], folder: ModelFolder, logit_scale: float
) -> PriorField | None:
    """The field that a request asks for; None where there is none to weigh in (also with λ = 0, whatever else is asked).

    Raises:
        EngineError: λ is no number from 0, or a table has no raster.
        RasterError: the raster cannot be read, or has no coordinates.
        WordsError: the table cannot be read, or names none of the classes.
        ModelError: no raster is given, and the model has no location tower.
    """
    if prior is None:
        return None
    if not math.isfinite(prior.strength) or prior.strength < 0:
        raise EngineError(
            ErrorCode.MESSAGE_INVALID,
            f"The prior cannot have the strength {prior.strength:g}.",
            "Give a number from 0 (no prior) to about 1 (Bayes’ rule).",
            strength=prior.strength,
        )
    if prior.strength == 0:
        return None
    if prior.table_path and not prior.raster_path:
        raise EngineError(
            ErrorCode.MESSAGE_INVALID,
            f"The prior has a table, {prior.table_path}, but no raster whose categories it weighs.",
            "Give the raster too (--prior RASTER), or leave the table out.",
            path=prior.table_path,
        )
    said = f"counts with the strength {prior.strength:g}"
    if not prior.raster_path:
        tower = open_location_tower(folder)
        if any(prompt.vectors.shape[1] != tower.dim for prompt in prompts):
            raise _unusable_table(folder.path, "its words and its places do not have the same space")
        text = f"How well each class fits the place, by {folder.card.name}, {said}"
        silence = "The prior changes nothing: no tile of the area has a place on Earth."
        return PriorField(prior.strength, text, _Affinity(tower, prompts, logit_scale), silence)
    raster = Path(prior.raster_path)
    _check_raster(raster)
    table = Path(prior.table_path) if prior.table_path else raster.with_name("summary.json")
    rows = _read_table(table) if prior.table_path else _read_summary(table)
    known = PriorTable.of(rows, prompts)
    names = sorted({name for row in rows.values() for name in row})
    if not len(known.values):
        raise _unusable_table(table, f"it says nothing of the classes asked for; it knows {_some(names) or 'none'}")
    categories = _some([f"{value:g}" for value in known.values])
    silence = (
        f"The prior changes nothing: at no tile of the area does {raster.name} hold a category that its table lists "
        f"({categories}). Check that it shows this place, and its categories."
    )
    text = f"What {raster.name} makes likely {said}"
    return PriorField(prior.strength, text, _Categories(raster, known), silence, _unasked(raster, names, prompts))


def _unasked(raster: Path, names: Sequence[str], prompts: Sequence[Prompt]) -> tuple[Note, ...]:
    """A remark on what the prior weighs and nobody asked for: perhaps a class under another name."""
    asked = {prompt.name.casefold() for prompt in prompts if not prompt.is_negative}
    unasked = [name for name in names if name not in asked]
    if not unasked:
        return ()
    text = f"The prior {raster.name} also weighs {_some(unasked)}; no class of such a name is asked for, so it has no effect."
    return (Note("place_prior_unasked", Level.AMBER, text, {"names": ", ".join(unasked)}),)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


@dataclass(frozen=True)
class _Affinity:
    """Each class by how well the cell's place fits its words, where the model keeps places and words in one space."""

    tower: LocationTower
    prompts: tuple[Prompt, ...]
    logit_scale: float

    def at(self, grid: TileGrid, region: Region) -> NDArray[np.float32]:
        shape = region.rows + 2 * MARGIN, region.cols + 2 * MARGIN
        cells = _fine_transform(grid, region, 1)
        cols, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
        x, y = cells.c + cells.a * cols.ravel(), cells.f + cells.e * rows.ravel()
        to_degrees = Transformer.from_crs(CRS.from_user_input(grid.pixels.crs_wkt), CRS.from_epsg(4326), always_xy=True)
        lon, lat = to_degrees.transform(x, y)
        found = np.full((len(lat), len(self.prompts)), np.nan, np.float32)
        is_place = np.isfinite(lat) & np.isfinite(lon)
        vectors = self.tower.embed_places(lat[is_place], lon[is_place])
        if len(vectors):
            found[is_place] = probabilities(vectors, self.prompts, self.logit_scale)
        return found.reshape(*shape, -1)


@dataclass(frozen=True)
class _Categories:
    """Each class by the categories of a raster within the cell."""

    raster: Path
    table: PriorTable

    def at(self, grid: TileGrid, region: Region) -> NDArray[np.float32]:
        shape = region.rows + 2 * MARGIN, region.cols + 2 * MARGIN
        fine = np.full((shape[0] * _SAMPLES, shape[1] * _SAMPLES), np.nan, np.float64)
        try:
            with rasterio.open(self.raster) as dataset:
                reproject(
                    rasterio.band(dataset, 1), fine, src_nodata=dataset.nodata, dst_nodata=np.nan,
                    dst_transform=_fine_transform(grid, region, _SAMPLES), dst_crs=grid.pixels.crs_wkt,
                    resampling=Resampling.nearest,
                )  # fmt: skip
        except rasterio.errors.RasterioError as problem:
            raise _unreadable(self.raster, str(problem)) from problem
        priors = self.table.at(fine)
        return mean_known(priors.reshape(shape[0], _SAMPLES, shape[1], _SAMPLES, -1), (1, 3))


def _fine_transform(grid: TileGrid, region: Region, samples: int) -> Affine:
    """From samples of a region's cells, its margin's first, to the layer's coordinates."""
    stride_y, stride_x = grid.stride_yx_px
    pixels = grid.pixels.transform
    first_x, first_y = (region.first_col - MARGIN) * stride_x, (region.first_row - MARGIN) * stride_y
    return Affine(
        pixels.a * stride_x / samples, 0.0, pixels.c + pixels.a * first_x,
        0.0, pixels.e * stride_y / samples, pixels.f + pixels.e * first_y,
    )  # fmt: skip


def _check_raster(path: Path) -> None:
    try:
        with rasterio.open(path) as dataset:
            crs = dataset.crs
    except rasterio.errors.RasterioError as problem:
        raise _unreadable(path, str(problem)) from problem
    if crs is None:
        raise RasterError(
            ErrorCode.RASTER_NO_GEOREFERENCE,
            f"The prior {path} has no coordinates.",
            "Give a raster that says where it lies.",
            path=str(path),
        )


def _read_table(path: Path) -> dict[float, dict[str, float]]:
    """A CSV: a column ``value`` with the raster's categories, and a column of weights for each class."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise _unusable_table(path, str(problem)) from problem
    if not rows or len(rows[0]) < 2 or rows[0][0].strip().casefold() != "value":
        raise _unusable_table(path, "its first line is not “value” and the names of classes")
    names = [name.strip().casefold() for name in rows[0][1:]]
    if len(set(names)) < len(names):
        raise _unusable_table(path, "its first line names a class twice")
    found: dict[float, dict[str, float]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            value, *weights = (float(cell) for cell in row)
        except ValueError as problem:
            raise _unusable_table(path, f"line {number} holds what is no number") from problem
        if len(weights) != len(names) or not all(math.isfinite(item) and item >= 0 for item in weights):
            raise _unusable_table(path, f"line {number} needs {len(names)} weights from 0 upwards behind its value")
        if not math.isfinite(value) or value in found:
            raise _unusable_table(path, f"line {number} {'repeats' if value in found else 'has'} the value {value:g}")
        found[value] = dict(zip(names, weights, strict=True))
    return found


def _read_summary(path: Path) -> dict[float, dict[str, float]]:
    """What an earlier class map of GeoMM's own makes likely: its class with 0.8, the others share the rest."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["classes"]
        names = {float(entry["value"]): str(entry["name"]).casefold() for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            "The prior says nothing of its categories: no table is given, and beside the raster lies no summary.json of a "
            "class map.",
            "Give a table (--prior-table): a CSV with a column “value” and a column of weights for each class.",
            path=str(path),
        ) from problem
    names.pop(float(_UNKNOWN_VALUE), None)
    rest = (1.0 - _KEPT) / max(len(names) - 1, 1)
    return {
        value: {other: _KEPT if other == name else rest for other in names.values()} for value, name in names.items()
    }


def _unusable_table(path: Path, problem: str) -> WordsError:
    return WordsError(
        ErrorCode.CLASS_LIST_INVALID,
        f"The table of the prior, {path}, cannot be used: {problem}.",
        "Write a CSV: “value,forest,water” in its first line, then a line such as “10,0.9,0.1” for each category.",
        path=str(path),
    )


def _unreadable(path: Path, problem: str) -> RasterError:
    return RasterError(
        ErrorCode.RASTER_UNREADABLE,
        f"The prior {path} cannot be read: {problem}.",
        "Check the file, or leave the prior out.",
        path=str(path),
    )
