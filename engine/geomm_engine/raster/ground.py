"""How large a pixel is on the ground: geodesics on the WGS 84 ellipsoid through PROJ. Opens no file."""

from __future__ import annotations

import math

import numpy as np
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import RasterError
from geomm_engine.grid import PixelGrid

_GEOD = Geod(ellps="WGS84")
NEARLY_TRUE = 0.01
"""A projection whose scale is within 1 % of 1 is taken at its word (UTM: 0.9996 to 1.001)."""
_UNEVEN = math.log(1.5)


def to_geographic(crs_wkt: str) -> Transformer:
    """From this CRS to longitude and latitude in degrees, x before y.

    Raises:
        RasterError: the CRS is not one of the Earth, or cannot be transformed.
    """
    try:
        crs = CRS.from_wkt(crs_wkt)
        body = crs.ellipsoid
        if body is not None and abs(body.semi_major_metre / 6378137.0 - 1) > 0.02:
            raise RasterError(
                ErrorCode.RASTER_NOT_ON_EARTH,
                f"The raster's CRS lies on another body ({body.name}, radius {body.semi_major_metre / 1000:,.0f} km).",
                "GeoMM reads images of the Earth; assign the right CRS if this one is wrong.",
                ellipsoid=body.name,
            )
        return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except (CRSError, ProjError) as problem:
        raise RasterError(
            ErrorCode.RASTER_NO_GEOREFERENCE,
            f"The raster's CRS cannot be related to the Earth: {problem}.",
            "Assign a CRS to the layer (Raster ▸ Projections ▸ Assign Projection).",
        ) from problem


class GroundScale:
    """Ground size of a pixel anywhere in a grid."""

    def __init__(self, grid: PixelGrid) -> None:
        self._grid = grid
        self._transformer = to_geographic(grid.crs_wkt)
        crs = CRS.from_wkt(grid.crs_wkt)
        self._unit_m = crs.axis_info[0].unit_conversion_factor if crs.is_projected and crs.axis_info else 0.0

    def pixel_m_yx(self, y: float, x: float) -> tuple[float, float] | None:
        """Ground height and width in metres of the pixel at (y, x); None where the place is not on the Earth."""
        to_crs = self._grid.transform
        corners = [to_crs @ (x - 0.5, y), to_crs @ (x + 0.5, y), to_crs @ (x, y - 0.5), to_crs @ (x, y + 0.5)]
        lon, lat = self._transformer.transform([p[0] for p in corners], [p[1] for p in corners])
        if not np.isfinite([lon, lat]).all():
            return None
        _, _, distance_m = _GEOD.inv([lon[0], lon[2]], [lat[0], lat[2]], [lon[1], lon[3]], [lat[1], lat[3]])
        if not 0 < min(distance_m) < math.inf:
            return None
        return self._as_stated(float(distance_m[1]), float(distance_m[0]))

    def _as_stated(self, height_m: float, width_m: float) -> tuple[float, float]:
        if self._unit_m:
            stated = abs(self._grid.transform.e) * self._unit_m, abs(self._grid.transform.a) * self._unit_m
            if max(abs(height_m / stated[0] - 1), abs(width_m / stated[1] - 1)) < NEARLY_TRUE:
                return stated
        return height_m, width_m

    def nominal_m_yx(self) -> tuple[float, float]:
        """The pixel at the middle of the raster, or at the nearest place to it that lies on the Earth.

        Raises:
            RasterError: no part of the raster lies on the Earth.
        """
        height, width = self._grid.shape_yx
        shares = sorted(np.linspace(0.05, 0.95, 19), key=lambda share: abs(share - 0.5))
        for share_y in shares:
            for share_x in shares:
                found = self.pixel_m_yx(share_y * height, share_x * width)
                if found:
                    return found
        raise RasterError(
            ErrorCode.RASTER_NOT_ON_EARTH,
            "No part of the raster lies on the Earth by its georeference.",
            "Check the CRS and the extent of the layer.",
        )

    def row_stretch(
        self, rows: int, stride_yx: tuple[int, int], nominal_m_yx: tuple[float, float]
    ) -> tuple[tuple[float, float], ...]:
        """For each row of cells, how much taller (y) and wider (x) than two strides a tile is to be square on the ground.

        Every tile has the ground area of two strides by two of nominal pixels. Empty where it is 1 within 1 % everywhere.

        Raises:
            RasterError: the ground size changes so much along one row that no one width fits it.
        """
        height, width = self._grid.shape_yx
        side_m = math.sqrt(math.prod(stride_yx) * math.prod(nominal_m_yx))
        stretch = []
        for row in range(rows):
            y = min((row + 0.5) * stride_yx[0], height - 0.5)
            found = self.pixel_m_yx(y, width / 2) or nominal_m_yx
            ratio = side_m / (stride_yx[0] * found[0]), side_m / (stride_yx[1] * found[1])
            stretch.append((min(max(ratio[0], 0.1), 10.0), min(max(ratio[1], 0.1), 10.0)))
        self._check_even(nominal_m_yx)
        if all(abs(y - 1) < NEARLY_TRUE and abs(x - 1) < NEARLY_TRUE for y, x in stretch):
            return ()
        return tuple(stretch)

    def _check_even(self, nominal_m_yx: tuple[float, float]) -> None:
        height, width = self._grid.shape_yx
        for share_y in (0.05, 0.25, 0.5, 0.75, 0.95):
            middle = self.pixel_m_yx(share_y * height, width / 2) or nominal_m_yx
            for share_x in (0.02, 0.15, 0.3, 0.7, 0.85, 0.98):
                found = self.pixel_m_yx(share_y * height, share_x * width)
                if found and max(abs(math.log(found[axis] / middle[axis])) for axis in (0, 1)) > _UNEVEN:
                    raise RasterError(
                        ErrorCode.RASTER_UNSUPPORTED,
                        f"The ground size of a pixel changes along a row from {middle[1]:,.0f} to {found[1]:,.0f} m: the "
                        "raster shows too much of the globe for its projection.",
                        "Warp it to EPSG:4326 or to a local projection first (Raster ▸ Projections ▸ Warp).",
                    )

    def centre_lonlat(self) -> tuple[float, float]:
        height, width = self._grid.shape_yx
        x, y = self._grid.transform @ (width / 2, height / 2)
        lon, lat = self._transformer.transform(x, y)
        return float(lon), float(lat)
