"""Where on Earth is this? A raster or a picture → a probability map of the world, places, climates and a season."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np

from geomm_engine import __version__
from geomm_engine.contract import ErrorCode, Fact, LocateParams, LocateResult, Note, Place, encode
from geomm_engine.errors import EngineError, writing
from geomm_engine.geography import atlas, koppen, painting, verdict
from geomm_engine.geography.expert import Expert, open_expert
from geomm_engine.pipeline import mapping
from geomm_engine.pipeline.locate_answer import Answer, headline, prior_share, remarks
from geomm_engine.pipeline.locate_look import Locator
from geomm_engine.pipeline.locate_tiles import open_picture
from geomm_engine.progress import Job, Stopwatch
from geomm_engine.writers import heatmap
from geomm_engine.writers.locate_figure import Bar, Dial, WorldFigure, draw_world, draw_world_figure
from geomm_engine.writers.places import Region, write_places
from geomm_engine.writers.provenance import SOFTWARE, ModelMark, Provenance

HEATMAP, EQUAL_AREA, PLACES = "heatmap.tif", "heatmap_equal_area.tif", "places.gpkg"
PICTURE, WORLD, SUMMARY = "map.png", "world.png", "summary.json"
OUTPUTS = (HEATMAP, EQUAL_AREA, PLACES, PICTURE, WORLD, SUMMARY)
LEVELS = (0.5, 0.9)


def locate(params: LocateParams) -> Job[LocateResult]:
    """Write the heatmaps, ``places.gpkg``, ``map.png`` and ``summary.json`` into the output folder.

    Raises:
        EngineError: whatever layer, model, area, priors, date or folder refuse; nothing half-written is left.
    """
    date = _date(params.date)
    share = prior_share(params.priors)
    locator = Locator(open_expert(params.model))
    folder = Path(params.output_dir)
    with mapping.all_or_nothing(folder, [folder / name for name in OUTPUTS]):
        with open_picture(params.source, params.area, params.gsd_m) as picture:
            sights = yield from locator.look(picture)
            own, notes, radiometry = picture.own_place, picture.notes, picture.radiometry.text
        answer = Answer(sights, share, own, date, params.priors)
        writer = _Writer(params, locator.expert, answer, radiometry)
        watch = Stopwatch("write", 3)
        writer.write_maps(folder)
        yield watch.step()
        writer.write_regions(folder)
        yield watch.step()
        result = writer.result(folder, notes)
        if params.has_picture:
            writer.draw(folder, result)
        with writing(folder / SUMMARY):
            text = json.dumps(encode(result) | {"provenance": writer.provenance_values()}, indent=1, ensure_ascii=False)
            (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")
        yield watch.step()
        return result


def _date(text: str) -> datetime.date | None:
    if not text.strip():
        return None
    try:
        return datetime.date.fromisoformat(text.strip())
    except ValueError as problem:
        raise EngineError(
            ErrorCode.MESSAGE_INVALID,
            f"“{text}” is no date.",
            "Write it as year-month-day, such as 2004-07-15.",
            date=text,
        ) from problem


class _Writer:
    """Draws one answer into files."""

    def __init__(self, params: LocateParams, expert: Expert, answer: Answer, radiometry: str) -> None:
        self._params = params
        self._answer = answer
        self._card = expert.folder.card
        self._provenance = _provenance(params, expert, answer, radiometry)
        self._said = painting.density(answer.posterior, atlas.pixel_centres()[0], atlas.SHAPE_YX[1])
        self._mass = painting.mass(self._said, answer.share, atlas.row_area_km2())
        self._regions: list[Region] = []

    def write_maps(self, folder: Path) -> None:
        degrees = heatmap.degree_grid(atlas.SHAPE_YX)
        heatmap.write_heatmap(folder / HEATMAP, degrees, self._mass, atlas.row_area_km2(), self._provenance)
        plane = heatmap.equal_area_grid()
        rows, cols = plane.shape_yx
        lat = heatmap.row_latitudes(plane)
        lon = -180.0 + (np.arange(cols) + 0.5) / cols * 360.0
        share = koppen.GlobalRaster(self._answer.share).at(lat[:, None], lon[None, :]).astype(np.float32)
        area = np.full(rows, float(atlas.row_area_km2().sum()) * atlas.SHAPE_YX[1] / (rows * cols))
        mass = painting.mass(painting.density(self._answer.posterior, lat, cols), share, area)
        heatmap.write_heatmap(folder / EQUAL_AREA, plane, mass, area, self._provenance)

    def write_regions(self, folder: Path) -> None:
        self._regions = [
            Region(level, painting.outline(self._said, self._answer.share, self._mass, level),
                   self._answer.posterior.area_km2(level))
            for level in LEVELS
        ]  # fmt: skip
        write_places(folder / PLACES, self._regions, self._places, self._provenance)

    @property
    def _places(self) -> tuple[Place, ...]:
        return self._answer.places(self._params.top_k)

    def result(self, folder: Path, notes: tuple[Note, ...]) -> LocateResult:
        answer, places = self._answer, self._places
        best = answer.best_place()
        scales = dict.fromkeys(round(scale.gsd_km, 3) for sight in answer.sights for scale in sight.scales)
        return LocateResult(
            heatmap_path=str(folder / HEATMAP),
            equal_area_path=str(folder / EQUAL_AREA),
            places_path=str(folder / PLACES),
            picture_path=str(folder / PICTURE) if self._params.has_picture else "",
            world_path=str(folder / WORLD) if self._params.has_picture else "",
            summary_path=str(folder / SUMMARY),
            model=f"{self._card.id} {self._card.version}",
            best=best,
            places=places,
            radius_50_km=answer.posterior.radius_km(best.lat, best.lon, LEVELS[0]),
            radius_90_km=answer.posterior.radius_km(best.lat, best.lon, LEVELS[1]),
            area_50_km2=self._regions[0].area_km2,
            area_90_km2=self._regions[1].area_km2,
            climates=answer.climates(),
            season=verdict.season_of(answer.season),
            abstain=answer.abstain,
            tiles=sum(sight.tiles for sight in answer.sights),
            tiles_empty=sum(sight.tiles_empty for sight in answer.sights),
            gsd_km=tuple(scales),
            check=answer.check,
            date_check=answer.date_check,
            notes=(*remarks(answer), *notes),
        )

    def draw(self, folder: Path, result: LocateResult) -> None:
        groups = np.exp(koppen.coarse(np.log(np.maximum(self._answer.climate, 1e-12))))
        bars = [Bar(koppen.GROUPS[at].name, float(groups[at]), koppen.GROUPS[at].color) for at in range(len(groups))]
        fine = [
            Bar(f"{item.code}  {item.name}", item.probability, koppen.CLIMATES[koppen.climate_number(item.code)].color)
            for item in result.climates[:5]
        ]
        figure = WorldFigure(
            density=self._mass / atlas.row_area_km2()[:, None],
            countries=[country.outline for country in atlas.countries()],
            regions=self._regions,
            best=result.best,
            own=self._answer.own,
            groups=bars,
            climates=fine,
            dial=Dial(result.season.day, result.season.half_span_50_days, result.season.half_span_90_days),
            title=self._params.source.name or Path(self._params.source.paths[0]).stem,
            headline=headline(result),
            subtitle=f"{self._card.name} {self._card.version} · {result.tiles} tile{'s' * (result.tiles != 1)} at "
            f"{', '.join(f'{item:g}' for item in result.gsd_km)} km a pixel",
        )
        draw_world_figure(folder / PICTURE, figure)
        draw_world(folder / WORLD, figure)

    def provenance_values(self) -> dict[str, object]:
        return dict(json.loads(self._provenance.to_json()))


def _provenance(params: LocateParams, expert: Expert, answer: Answer, radiometry: str) -> Provenance:
    card = expert.folder.card
    parameters: dict[str, Fact] = {
        "is_land_only": params.priors.is_land_only,
        "country": params.priors.country,
        "prior_area": params.priors.area.wkt,
        "gsd_m": params.gsd_m,
        "date": params.date,
        "tiles": sum(sight.tiles for sight in answer.sights),
        "scales_km": ", ".join(f"{scale.gsd_km:.3g}" for sight in answer.sights for scale in sight.scales),
        "tile_correlation": card.calibration.tile_correlation,
    }
    return Provenance(
        software=SOFTWARE,
        version=__version__,
        created=mapping.now(),
        source_name=params.source.name or Path(params.source.paths[0]).stem,
        source_paths=params.source.paths,
        radiometry=radiometry,
        model=ModelMark(card.id, card.version, expert.folder.card_sha256),
        parameters=parameters,
    )
