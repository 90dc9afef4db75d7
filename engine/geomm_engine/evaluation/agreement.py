"""How far a class map agrees with a raster of known classes, tile by tile, on the tiles of one clear class."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import from_bounds

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError
from geomm_engine.evaluation import metrics

CLEAR_SHARE = 0.75


@dataclass(frozen=True)
class AgreementReport:
    """Shares 0–1 over the tiles whose truth is at least 75 % of one class; ``confusion`` rows are truth.

    ``unknown`` counts clear tiles that the map calls unknown; they count as not agreeing.
    """

    tiles: int
    clear_tiles: int
    agreement: float
    agreement_interval_95: tuple[float, float]
    agreement_all: float
    unknown: int
    classes: tuple[str, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]


def evaluate_map(tiles_path: Path, truth_path: Path, names: Mapping[int, str] | None = None) -> AgreementReport:
    """Compare ``tiles.gpkg`` of a class map with a raster of truth, which may lie on another grid or in another CRS.

    Args:
        names: class name of each value of the truth; values that are absent are left out. Without it the names that
            the truth's own band tags carry (``CLASS_1=forest``).

    Raises:
        EngineError: a file cannot be read, or no value of the truth has a name that the map knows.
    """
    bounds, said_names = _read_tiles(tiles_path)
    try:
        with rasterio.open(truth_path) as truth:
            value_names = dict(names) if names else _own_names(truth)
            crs = CRS.from_user_input(pyogrio.read_info(tiles_path, layer="tiles")["crs"])
            with WarpedVRT(truth, crs=crs, resampling=Resampling.nearest) as straight:
                truth_names, share = _majorities(straight, bounds, _as_the_map(value_names, said_names))
    except (RasterioError, RasterioIOError) as problem:
        raise EngineError(
            ErrorCode.RASTER_UNREADABLE, f"The truth {truth_path} cannot be read: {problem}.", "Check the file."
        ) from problem
    if not (set(truth_names) - {""}) & set(said_names):
        raise EngineError(
            ErrorCode.CLASS_LIST_INVALID,
            "No class of the map bears the name of a class of the truth.",
            "Give --names a JSON file that says which value of the truth is which class of the map.",
        )
    return _report(truth_names, share, said_names)


def read_names(path: Path) -> dict[int, str]:
    """A JSON object {"1": "water", …}: truth value to class name.

    Raises:
        EngineError: the file is missing or something else.
    """
    try:
        return {int(value): str(name) for value, name in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError) as problem:
        raise EngineError(
            ErrorCode.CLASS_LIST_INVALID,
            f"The names file {path} cannot be read: {problem}.",
            'Write {"1": "water", …}.',
        ) from problem


def _read_tiles(path: Path) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    try:
        _, _, geometries, columns = pyogrio.raw.read(path, layer="tiles", columns=["class"])
    except (DataSourceError, OSError) as problem:
        raise EngineError(
            ErrorCode.FOLDER_INVALID, f"{path} is no result of “geomm classify”: {problem}.", "Give its output folder."
        ) from problem
    return shapely.bounds(shapely.from_wkb(geometries)), columns[0]


def _own_names(truth: rasterio.DatasetReader) -> dict[int, str]:
    tags = truth.tags(1)
    return {int(key.removeprefix("CLASS_")): name for key, name in tags.items() if key.startswith("CLASS_")}


def _as_the_map(names: Mapping[int, str], said: NDArray[np.object_]) -> dict[int, str]:
    """Names that differ from one of the map's in case alone are written as the map writes them."""
    known = {str(name).casefold(): str(name) for name in said}
    return {value: known.get(name.casefold(), name) for value, name in names.items()}


def _majorities(
    truth: WarpedVRT, bounds: NDArray[np.float64], names: Mapping[int, str]
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """For each box the most frequent name, "" where there is none, and its share of the whole box, also of what of it
    reaches beyond the truth."""
    majority, share = np.full(len(bounds), "", dtype=object), np.zeros(len(bounds))
    for at, box in enumerate(bounds):
        window = from_bounds(*box, transform=truth.transform).round_offsets().round_lengths()
        majority[at], most = commonest(truth.read(1, window=window), names)
        share[at] = most / (window.width * window.height)
    return majority, share


def commonest(pixels: NDArray[np.integer], names: Mapping[int, str]) -> tuple[str, int]:
    """The most frequent name among these values and how many have it, ("", 0) where none has one. Values may share a name."""
    of_name: Counter[str] = Counter()
    for value, count in zip(*np.unique(pixels, return_counts=True), strict=True):
        if int(value) in names:
            of_name[names[int(value)]] += int(count)
    return of_name.most_common(1)[0] if of_name else ("", 0)


def _report(truth: NDArray[np.object_], share: NDArray[np.float64], said: NDArray[np.object_]) -> AgreementReport:
    named = truth != ""
    clear = named & (share >= CLEAR_SHARE)
    classes = sorted({str(name) for name in truth[named]} | {str(name) for name in said})
    number = {name: at for at, name in enumerate(classes)}
    true_at = np.array([number[str(name)] for name in truth[clear]], dtype=np.int64)
    said_at = np.array([number[str(name)] for name in said[clear]], dtype=np.int64)
    confusion = metrics.confusion_matrix(true_at, said_at, len(classes))
    scores = metrics.by_class(confusion)
    right = int((true_at == said_at).sum())
    return AgreementReport(
        tiles=int(named.sum()),
        clear_tiles=int(clear.sum()),
        agreement=right / max(len(true_at), 1),
        agreement_interval_95=metrics.wilson_interval(right, len(true_at)),
        agreement_all=float((truth[named] == said[named]).mean()),
        unknown=int((said[clear] == "unknown").sum()),
        classes=tuple(classes),
        recall=tuple(float(value) for value in np.nan_to_num(scores.recall)),
        precision=tuple(float(value) for value in np.nan_to_num(scores.precision)),
        confusion=tuple(tuple(int(value) for value in row) for row in confusion),
    )
