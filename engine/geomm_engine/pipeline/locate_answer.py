"""One answer from what was seen: priors, posterior, places, the check of the layer's own coordinates. Writes nothing."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from geomm_engine.contract import ClimateShare, Fact, Level, LocatePriors, LocateResult, Note, Place, Verdict
from geomm_engine.geography import atlas, koppen, verdict
from geomm_engine.geography.posterior import NEAR_KM, Posterior, cell_prior
from geomm_engine.pipeline import area as areas
from geomm_engine.pipeline.locate_look import LOST, Sight
from geomm_engine.sphere import Values, unit_vectors

_SHOWN_CLIMATE = 0.005
_SHOWN_CLIMATES = 8
_BAD = (Verdict.DOUBTFUL, Verdict.DISAGREES)


def prior_share(priors: LocatePriors) -> NDArray[np.float32]:
    """(720, 1440) what the priors allow of each quarter degree.

    Raises:
        AreaError: the polygon is none, the country is unknown, or nothing is left.
    """
    outlines = []
    if priors.area.wkt:
        outlines.append(areas.to_crs(priors.area, CRS.from_epsg(4326)))
    if priors.country.strip():
        outlines.append(atlas.find_country(priors.country).outline)
    return atlas.prior(outlines, is_land_only=priors.is_land_only)


class Answer:
    """One answer from one or several sights: a posterior with the user's priors, and one without them for the check."""

    def __init__(
        self,
        sights: Sequence[Sight],
        share: NDArray[np.float32],
        own: tuple[float, float] | None,
        date: datetime.date | None,
        priors: LocatePriors,
    ) -> None:
        self.sights = tuple(sights)
        self.share = share
        self.own = own
        allowed = cell_prior(share)
        self.posterior = Posterior.mean([Posterior.of(sight.log_density, allowed) for sight in sights])
        self.climate: Values = np.mean([sight.climate for sight in sights], axis=0)
        self.season: Values = np.mean([sight.season for sight in sights], axis=0)
        self.abstain = float(np.mean([sight.abstain for sight in sights]))
        self.is_lost = self.abstain >= LOST
        self.check = None
        if own is not None:
            free = cell_prior(atlas.prior([], is_land_only=priors.is_land_only))
            unbound = Posterior.mean([Posterior.of(sight.log_density, free) for sight in sights])
            self.check = verdict.check_place(unbound, own, unbound.best(), is_lost=self.is_lost)
        self.date_check = verdict.check_date(self.season, date) if date is not None else None

    def best_place(self) -> Place:
        """The point with the least expected distance to the truth, and the mass near it."""
        lat, lon = self.posterior.best()
        share = float(self.posterior.mass_near(unit_vectors(lat, lon))[0])
        return Place(0, lat, lon, atlas.country_at(lat, lon), share, NEAR_KM)

    def places(self, count: int) -> tuple[Place, ...]:
        return tuple(
            Place(rank, lat, lon, atlas.country_at(lat, lon), share, NEAR_KM)
            for rank, (lat, lon, share) in enumerate(self.posterior.peaks(max(1, count)), start=1)
        )

    def climates(self) -> tuple[ClimateShare, ...]:
        """The most probable classes, those of next to no probability left out."""
        order = np.argsort(-self.climate, kind="stable")[:_SHOWN_CLIMATES]
        rows = [(koppen.CLIMATES[at], float(self.climate[at])) for at in order]
        return tuple(
            ClimateShare(item.code, item.name, koppen.GROUPS[item.group].name, share, item.color)
            for at, (item, share) in enumerate(rows)
            if share >= _SHOWN_CLIMATE or at == 0
        )


def headline(result: LocateResult) -> str:
    """The answer in one sentence."""
    if result.abstain >= LOST:
        return "This picture cannot be placed: it shows too little land, or nothing that tells one place from another."
    best = result.best
    where = f"{verdict.place_text(best.lat, best.lon)}{f' ({best.country})' if best.country else ''}"
    sure = f"half of the probability lies within {result.radius_50_km:,.0f} km"
    return f"Most likely near {where}; {sure}. {result.check.text if result.check else ''}".strip()


def remarks(answer: Answer) -> list[Note]:
    """What a person must know before using the answer."""
    notes = []
    if answer.is_lost:
        text = (
            "The picture cannot be placed: it shows sea, cloud, ice or too little data. The map shows hardly more than "
            "what was known before."
        )
        notes.append(Note("cannot_be_placed", Level.AMBER, text, {"abstain": answer.abstain}))
    if answer.check is not None and answer.check.verdict in _BAD:
        facts: dict[str, Fact] = {"distance_km": answer.check.distance_km, "level": answer.check.level}
        notes.append(Note("place_disagrees", Level.AMBER, answer.check.text, facts))
    if answer.date_check is not None and answer.date_check.verdict in _BAD:
        facts = {"difference_days": answer.date_check.difference_days, "level": answer.date_check.level}
        notes.append(Note("date_disagrees", Level.AMBER, answer.date_check.text, facts))
    return notes
