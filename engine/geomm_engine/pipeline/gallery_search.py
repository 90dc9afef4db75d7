"""Where a layer or a photograph may lie by somebody else's location model: its tiles against a gallery of the whole Earth.

The tiles are embedded by the model's own image tower (a layer's index is kept, as for any model), compared with the
places of :func:`posterior.world_grid`, pooled as the geographic expert's are, and held against the same priors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Transformer

from geomm_engine import __version__
from geomm_engine.contract import Area, EmbedParams, ErrorCode, LocatePriors, Note, Place, RasterSource
from geomm_engine.encoders.card import ModelFolder
from geomm_engine.encoders.device import open_image_encoder
from geomm_engine.encoders.location import layout
from geomm_engine.encoders.location.tower import open_location_tower
from geomm_engine.encoders.registry import find_model
from geomm_engine.errors import RasterError
from geomm_engine.geography import atlas, painting
from geomm_engine.geography.gallery import open_gallery, squared
from geomm_engine.geography.posterior import NEAR_KM, Posterior, cell_prior, pool, world_grid
from geomm_engine.pipeline import mapping
from geomm_engine.pipeline.embed import EmbedRun, cache_folder
from geomm_engine.pipeline.locate_answer import prior_share
from geomm_engine.pipeline.prepare import prepare
from geomm_engine.progress import Job
from geomm_engine.sphere import EARTH_RADIUS_KM, Values
from geomm_engine.writers import heatmap
from geomm_engine.writers.provenance import SOFTWARE, ModelMark, Provenance

HEATMAP = "heatmap.tif"
TILE_CORRELATION = 0.5
"""Two tiles of one picture are half the same witness; the geographic expert's default, not measured for these models."""
_MOST_TILES = 64
_MOST_PHOTO_PX = 2048


@dataclass(frozen=True)
class GallerySearch:
    """What is asked. ``output_dir`` "" writes no heatmap; ``temperature`` 0 takes the card's, above 1 is more cautious."""

    source: RasterSource
    model: str
    output_dir: str = ""
    area: Area = field(default_factory=Area)
    priors: LocatePriors = field(default_factory=LocatePriors)
    device: str = "auto"
    temperature: float = 0.0
    top_k: int = 5


@dataclass(frozen=True)
class GalleryAnswer:
    """Where it may lie. ``own_level`` is the smallest credible region that holds the layer's own coordinates, −1 without."""

    model: str
    places: tuple[Place, ...]
    radius_50_km: float
    radius_90_km: float
    area_50_km2: float
    area_90_km2: float
    tiles: int
    own_level: float
    heatmap_path: str
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _Seen:
    """The vectors (n, dim) of a picture's tiles, where they lie in it (n, 2) km, and where the picture says that it lies."""

    vectors: NDArray[np.float32]
    offsets_km: Values
    own_place: tuple[float, float] | None
    notes: tuple[Note, ...] = ()


def gallery_search(params: GallerySearch) -> Job[GalleryAnswer]:
    """Place a layer or a photograph.

    Raises:
        EngineError: whatever model, layer, area or priors refuse.
    """
    folder = find_model(params.model)
    open_location_tower(folder)
    share = prior_share(params.priors)
    if folder.card.architecture.name == layout.CLIP_TOWER:
        seen = _see_photo(folder, params)
    else:
        seen = yield from _see_layer(params)
    gallery = yield from open_gallery(folder, world_grid(), cache_folder() / "gallery")
    said = gallery.log_density(seen.vectors, params.temperature or None)
    pooled = pool(said, np.ones(len(said)), seen.offsets_km, correlation=TILE_CORRELATION)
    posterior = Posterior.of(pooled, cell_prior(share))
    path = _write_heatmap(folder, params, posterior, share) if params.output_dir else ""
    best = posterior.best()
    places = tuple(
        Place(rank, round(lat, 4), round(lon, 4), atlas.country_at(lat, lon), mass, NEAR_KM)
        for rank, (lat, lon, mass) in enumerate(posterior.peaks(params.top_k), start=1)
    )
    return GalleryAnswer(
        model=f"{folder.card.id} {folder.card.version}",
        places=places,
        radius_50_km=posterior.radius_km(*best, 0.5),
        radius_90_km=posterior.radius_km(*best, 0.9),
        area_50_km2=posterior.area_km2(0.5),
        area_90_km2=posterior.area_km2(0.9),
        tiles=len(seen.vectors),
        own_level=posterior.level_at(*seen.own_place) if seen.own_place else -1.0,
        heatmap_path=path,
        notes=seen.notes,
    )


def _see_layer(params: GallerySearch) -> Job[_Seen]:
    prepared = prepare(params.source, params.model)
    run = EmbedRun(prepared, EmbedParams(params.source, params.model, params.area, device=params.device))
    yield from run.all()
    cells, vectors = [], []
    for region in mapping.regions(prepared.grid, run.chunks):
        data = mapping.read_region(run.index, region, run.chunks)
        own, _ = mapping.chosen_cells(prepared.grid, region, data, run.area)
        inside = own - [region.first_row, region.first_col] + mapping.MARGIN
        cells.append(own)
        vectors.append(data.vectors[inside[:, 0], inside[:, 1]])
    found, places = np.concatenate(vectors), np.concatenate(cells)
    if not len(found):
        raise RasterError(
            ErrorCode.RASTER_EMPTY,
            "No tile of the area holds enough data to be looked at.",
            "Choose another area or layer.",
        )
    chosen = np.unique(np.linspace(0, len(found) - 1, min(_MOST_TILES, len(found))).round().astype(int))
    boxes = mapping.cell_boxes(prepared.grid, places[chosen])
    to_degrees = Transformer.from_crs(CRS.from_user_input(prepared.grid.pixels.crs_wkt), 4326, always_xy=True)
    lon, lat = to_degrees.transform((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    middle = float(np.mean(lat)), float(lon[0] + np.mean(_turn(lon - lon[0])))
    km = np.radians(1.0) * EARTH_RADIUS_KM
    east = _turn(np.asarray(lon) - middle[1]) * np.cos(np.radians(middle[0])) * km
    offsets = np.stack([east, (np.asarray(lat) - middle[0]) * km], axis=1)
    return _Seen(found[chosen], offsets, (middle[0], float(_turn(middle[1]))), run.result().notes)


def _turn(degrees: ArrayLike) -> Values:
    """Longitudes brought to −180…180."""
    return np.asarray((np.asarray(degrees, np.float64) + 180.0) % 360.0 - 180.0)


def _see_photo(folder: ModelFolder, params: GallerySearch) -> _Seen:
    """The middle square of an 8-bit picture.

    Raises:
        RasterError: it cannot be read, or is no 8-bit picture of three bands.
    """
    path = params.source.paths[0]
    try:
        with rasterio.open(path) as dataset:
            if dataset.count < 3 or dataset.dtypes[0] != "uint8":
                raise RasterError(
                    ErrorCode.RASTER_UNSUPPORTED,
                    f"{folder.card.name} reads photographs: 8-bit red, green, blue. {path} is none.",
                    "Choose a photograph, or a model for layers.",
                    path=path,
                )
            shrink = max(1.0, max(dataset.shape) / _MOST_PHOTO_PX)
            height, width = (max(1, round(size / shrink)) for size in dataset.shape)
            values = dataset.read((1, 2, 3), out_shape=(3, height, width), resampling=rasterio.enums.Resampling.average)
    except rasterio.errors.RasterioError as problem:
        raise RasterError(
            ErrorCode.RASTER_UNREADABLE,
            f"The photograph {path} cannot be read: {problem}.",
            "Check the file.",
            path=path,
        ) from problem
    side = layout.INPUT_PX[layout.CLIP_TOWER]
    image = squared(values.astype(np.float32) / 255.0, side)
    vectors = open_image_encoder(folder, params.device).embed_images(image[None], 1.0)
    return _Seen(vectors, np.zeros((1, 2)), None)


def _write_heatmap(folder: ModelFolder, params: GallerySearch, posterior: Posterior, share: NDArray[np.float32]) -> str:
    output = Path(params.output_dir)
    path = output / HEATMAP
    provenance = Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name=params.source.name or Path(params.source.paths[0]).stem,
        source_paths=params.source.paths,
        radiometry="",
        model=ModelMark(folder.card.id, folder.card.version, folder.card_sha256),
        prompts={},
        parameters={"tile_correlation": TILE_CORRELATION, "temperature": params.temperature or "as on the card"},
    )
    said = painting.density(posterior, atlas.pixel_centres()[0], atlas.SHAPE_YX[1])
    area = atlas.row_area_km2()
    with mapping.all_or_nothing(output, [path]):
        heatmap.write_heatmap(
            path, heatmap.degree_grid(atlas.SHAPE_YX), painting.mass(said, share, area), area, provenance
        )
    return str(path)
