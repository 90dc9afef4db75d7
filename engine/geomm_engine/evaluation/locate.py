"""How well a geographic expert places pictures whose place is known, beside three guesses that know less."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from geomm_engine.contract import Area, ErrorCode, RasterSource, encode
from geomm_engine.errors import EngineError
from geomm_engine.evaluation import locate_metrics as metrics
from geomm_engine.evaluation.locate_answers import Answers, answers_of
from geomm_engine.evaluation.locate_metrics import Estimate
from geomm_engine.evaluation.locate_points import Point, read_climates, read_points, true_climates
from geomm_engine.geography import atlas, koppen, season
from geomm_engine.geography.expert import open_expert
from geomm_engine.geography.koppen import GlobalRaster
from geomm_engine.geography.posterior import Posterior, cell_prior, world_grid
from geomm_engine.pipeline.locate_look import Locator, Sight
from geomm_engine.pipeline.locate_tiles import open_picture
from geomm_engine.progress import Job, Stopwatch, run
from geomm_engine.sphere import Values, distance_km, lat_lon, unit_vectors

EXPERT, UNIFORM, NEAREST, CLIMATE = "expert", "uniform over land", "nearest training embedding", "Köppen only"
CURVE_SHARES = tuple(float(share) for share in np.geomspace(1e-4, 1.0, 49))
FAR_DEG = 35.0
_COSTS = 0.03


@dataclass(frozen=True)
class MethodReport:
    """``scores`` by name, each with a 95 % interval from drawing 10° blocks; ``recall`` at ``curve_shares`` of the land."""

    name: str
    scores: dict[str, Estimate]
    recall: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class LocateReport:
    """``mean_mass_50`` and ``_90``: mean mass of the regions that are drawn as such (cells are whole, so a little more)."""

    model: str
    points: int
    blocks: int
    abstained: int
    mean_mass_50: float
    mean_mass_90: float
    curve_shares: tuple[float, ...]
    methods: tuple[MethodReport, ...]
    unreadable: tuple[str, ...]


def evaluate_locate(
    path: Path, *, model: str = "", koppen_map: Path | None = None, gallery: Path | None = None
) -> Job[LocateReport]:
    """Place every picture of a POINTS.csv and hold the answers against what is known.

    Args:
        koppen_map: a Köppen–Geiger raster: the truth of climates, and what "Köppen only" is looked up in.
        gallery: another POINTS.csv of pictures that the model was trained on, for the nearest embedding.

    Raises:
        EngineError: a file, a row or the model cannot be used, before anything is computed.
    """
    points = read_points(path)
    others = read_points(gallery) if gallery else []
    climates = read_climates(koppen_map) if koppen_map else None
    locator = Locator(open_expert(model))
    watch = Stopwatch("evaluate", len(points) + len(others))
    seen: list[tuple[Point, Sight]] = []
    unreadable: list[str] = []
    for point in points:
        _see(locator, point, seen, unreadable)
        yield watch.step()
    known: list[tuple[Point, Sight]] = []
    for point in others:
        _see(locator, point, known, [])
        yield watch.step()
    if not seen:
        raise EngineError(
            ErrorCode.FOLDER_INVALID,
            f"None of the {len(points)} pictures can be placed: {'; '.join(unreadable[:3])}.",
            "Check the images and their ground width.",
        )
    return _report(locator, seen, known, climates, unreadable)


def _see(locator: Locator, point: Point, seen: list[tuple[Point, Sight]], unreadable: list[str]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(point.image) as dataset:
                gsd_m = 1000 * point.width_km / dataset.width
        with open_picture(RasterSource((str(point.image),)), Area(), gsd_m) as picture:
            seen.append((point, run(locator.look(picture))[0]))
    except (EngineError, rasterio.errors.RasterioError) as problem:
        unreadable.append(f"{point.image.name}: {problem}")


def _report(
    locator: Locator,
    seen: list[tuple[Point, Sight]],
    known: list[tuple[Point, Sight]],
    climates: GlobalRaster | None,
    unreadable: list[str],
) -> LocateReport:
    points = [point for point, _ in seen]
    truth = unit_vectors(np.array([item.lat for item in points]), np.array([item.lon for item in points]))
    blocks = _blocks(points)
    land = cell_prior(atlas.prior([]))
    posteriors = [Posterior.of(sight.log_density, land) for _, sight in seen]
    regions = np.array(
        [[float(item.mass[item.region(level)].sum()) for level in metrics.REGIONS] for item in posteriors]
    )
    expert = _answers(posteriors, points)
    climate_truth = true_climates(points, climates)
    climate_said = np.stack([sight.climate for _, sight in seen])
    scores = _scores(expert, truth, blocks)
    scores |= _climate_scores(climate_truth, climate_said, blocks)
    scores |= _season_scores(points, [sight for _, sight in seen], blocks)
    flat = Posterior.of(np.zeros(len(land)), land)
    middle = np.broadcast_to(unit_vectors(*flat.best()), truth.shape)
    curve = np.array(CURVE_SHARES)
    card = locator.expert.card
    return LocateReport(
        model=f"{card.id} {card.version}",
        points=len(points),
        blocks=len(np.unique(blocks)),
        abstained=sum(sight.is_lost for _, sight in seen),
        mean_mass_50=float(regions[:, 0].mean()),
        mean_mass_90=float(regions[:, 1].mean()),
        curve_shares=CURVE_SHARES,
        methods=(
            MethodReport(EXPERT, scores, _curve(expert, curve)),
            MethodReport(UNIFORM, _distances(middle, truth, blocks), CURVE_SHARES, "one point: the middle of all land"),
            _by_nearest(seen, known, truth, blocks, climate_truth, climates),
            _by_climate(climate_said, climates, land, points, truth, blocks),
        ),
        unreadable=tuple(unreadable),
    )


def _blocks(points: list[Point]) -> NDArray[np.int64]:
    """The 10° block round each point: neighbours are not independent."""
    rows = np.array([min(int((item.lat + 90) // 10), 17) for item in points])
    cols = np.array([int((item.lon + 180) // 10) % 36 for item in points])
    return np.asarray(36 * rows + cols, dtype=np.int64)


def _answers(posteriors: list[Posterior], points: list[Point]) -> Answers:
    return answers_of(posteriors, np.array([item.lat for item in points]), np.array([item.lon for item in points]))


def _curve(answers: Answers, shares: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in metrics.recall_by_area(answers.land_share, shares))


def _distances(guess: Values, truth: Values, blocks: NDArray[np.int64]) -> dict[str, Estimate]:
    return metrics.place_scores(np.asarray(distance_km(guess, truth), dtype=np.float64), blocks)


def _scores(answers: Answers, truth: Values, blocks: NDArray[np.int64]) -> dict[str, Estimate]:
    away = np.asarray(distance_km(answers.guess, truth), dtype=np.float64)
    return metrics.place_scores(away, blocks, answers.above)


def _climate_scores(truth: NDArray[np.int64], said: Values, blocks: NDArray[np.int64]) -> dict[str, Estimate]:
    is_known = truth > koppen.SEA
    if not is_known.any():
        return {}
    fine = said[:, 1:].argmax(axis=1) + 1
    coarse = np.exp(koppen.coarse(np.log(np.maximum(said, 1e-12))))[:, 1:].argmax(axis=1) + 1
    rows = blocks[is_known]
    return {
        "Köppen fine": metrics.climate_scores(truth[is_known], fine[is_known], rows),
        "Köppen coarse": metrics.climate_scores(koppen.GROUP_OF[truth[is_known]], coarse[is_known], rows),
    }


def _season_scores(points: list[Point], sights: list[Sight], blocks: NDArray[np.int64]) -> dict[str, Estimate]:
    dated = [at for at, item in enumerate(points) if item.date is not None]
    if not dated:
        return {}
    true = np.array([season.date_angle(item.date) for item in points if item.date is not None])
    mean, _ = season.mean_and_kappa(np.stack([sights[at].season for at in dated]))
    days, rows = season.difference_days(mean, true), blocks[dated]
    found = {"season (days)": metrics.season_scores(days, rows)}
    far = np.abs([points[at].lat for at in dated]) > FAR_DEG
    if far.any():
        found[f"season beyond {FAR_DEG:.0f}° (days)"] = metrics.season_scores(days[far], rows[far])
    return found


def _by_nearest(
    seen: list[tuple[Point, Sight]],
    known: list[tuple[Point, Sight]],
    truth: Values,
    blocks: NDArray[np.int64],
    climate_truth: NDArray[np.int64],
    climates: GlobalRaster | None,
) -> MethodReport:
    if not known:
        return MethodReport(NEAREST, {}, note="not measured: no gallery of training pictures was given (--gallery)")
    table = np.stack([sight.embedding for _, sight in known])
    nearest = [int(np.argmax(table @ sight.embedding)) for _, sight in seen]
    places = unit_vectors(np.array([item.lat for item, _ in known]), np.array([item.lon for item, _ in known]))
    scores = _distances(places[nearest], truth, blocks)
    numbers = true_climates([item for item, _ in known], climates)[nearest]
    both = (numbers > koppen.SEA) & (climate_truth > koppen.SEA)
    if both.any():
        scores["Köppen fine"] = metrics.climate_scores(climate_truth[both], numbers[both], blocks[both])
        groups = koppen.GROUP_OF[climate_truth[both]], koppen.GROUP_OF[numbers[both]]
        scores["Köppen coarse"] = metrics.climate_scores(*groups, blocks[both])
    return MethodReport(NEAREST, scores, note=f"one of {len(known):,} pictures")


def _by_climate(
    said: Values,
    climates: GlobalRaster | None,
    land: Values,
    points: list[Point],
    truth: Values,
    blocks: NDArray[np.int64],
) -> MethodReport:
    """Every place as likely as its climate, shared out over all land of that climate."""
    if climates is None:
        return MethodReport(CLIMATE, {}, note="not measured: no climate map was given (--koppen)")
    number = climates.at(*lat_lon(world_grid().centres())).astype(np.int64)
    area = np.maximum(np.bincount(number, weights=land, minlength=said.shape[1]), _COSTS)
    posteriors = [Posterior.of(np.log(np.maximum(row[number] / area[number], 1e-12)), land) for row in said]
    answers = _answers(posteriors, points)
    curve = _curve(answers, np.array(CURVE_SHARES))
    return MethodReport(CLIMATE, _scores(answers, truth, blocks), curve, "all land of the climates that are seen")


def table(report: LocateReport) -> tuple[list[str], list[list[str]]]:
    """Header and rows for people: one row a score, one column a method."""
    names = list(dict.fromkeys(name for method in report.methods for name in method.scores))
    rows = [[name, *(_cell(name, method.scores) for method in report.methods)] for name in names]
    return ["", *(method.name for method in report.methods)], rows


def _cell(name: str, scores: Mapping[str, Estimate]) -> str:
    found = scores.get(name)
    if found is None:
        return "–"
    has_interval = not math.isnan(found.low)
    if "km)" in name or "days" in name:
        return f"{found.value:,.0f}" + (f" ({found.low:,.0f} – {found.high:,.0f})" if has_interval else "")
    return f"{found.value:.1%}" + (f" ({found.low:.0%} – {found.high:.0%})" if has_interval else "")


def as_json(report: LocateReport) -> object:
    """The report as plain values; an interval that cannot be had from a single block is null."""
    return _without_nan(encode(report))


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
