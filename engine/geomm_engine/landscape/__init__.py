"""A drawn landscape: a picture like a satellite's with a truth that is known to the pixel. Uses no imagery, opens no file."""

from geomm_engine.landscape.drawing import Landscape, draw_landscape
from geomm_engine.landscape.layout import LAND_COVERS, LandCover

__all__ = ["LAND_COVERS", "LandCover", "Landscape", "draw_landscape"]
