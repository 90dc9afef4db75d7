"""Layers of QGIS become sources of the contract, or are refused with a sentence that helps."""

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer, QgsVectorLayer

from geomm_plugin import layers

from .conftest import draw_raster


def test_a_file_layer_becomes_a_source(raster_layer, raster_path):
    (target,) = layers.targets([raster_layer])
    assert target.source.paths == (str(raster_path),)
    assert target.source.roles == ()
    assert target.source.crs == ""
    assert target.name == "image é"


def test_what_a_person_said_of_the_layer_is_passed_on(raster_layer):
    raster_layer.setCustomProperty(layers.UNIT_PROPERTY, "display")
    raster_layer.setCustomProperty(layers.ROLES_PROPERTY, "nir,red,green")
    source = layers.targets([raster_layer])[0].source
    assert (source.unit, source.roles) == ("display", ("nir", "red", "green"))


def test_band_files_of_one_place_are_one_source(project, work_dir):
    names = ("T32_B04_10m", "T32_B02_10m", "T32_B03_10m")
    chosen = [QgsRasterLayer(str(draw_raster(work_dir / f"{name}.tif", size=32, bands=("",))), name) for name in names]
    (target,) = layers.targets(chosen)
    assert target.source.roles == ("B02", "B03", "B04")
    assert [path.rsplit("_", 2)[1] for path in target.source.paths] == ["B02", "B03", "B04"]


def test_two_images_are_two_runs(project, work_dir):
    chosen = [QgsRasterLayer(str(draw_raster(work_dir / f"{name}.tif", size=32)), name) for name in ("one", "two")]
    assert [target.name for target in layers.targets(chosen)] == ["one", "two"]


def test_bands_of_two_dates_are_not_mixed(project, work_dir):
    chosen = []
    for date in ("2020", "2021"):
        (work_dir / date).mkdir()
        for band in ("B02", "B03"):
            chosen.append(QgsRasterLayer(str(draw_raster(work_dir / date / f"{band}.tif", size=32, bands=("",))), band))
    assert [target.source.roles for target in layers.targets(chosen)] == [("B02", "B03")] * 2


def test_landsat_band_numbers_are_left_to_the_engine(project, work_dir):
    names = [f"LE07_L2SP_190026_20010714_SR_B{number}" for number in (1, 2, 3, 4)]
    chosen = [QgsRasterLayer(str(draw_raster(work_dir / f"{name}.tif", size=32, bands=("",))), name) for name in names]
    (target,) = layers.targets(chosen)
    assert [path[-6:-4] for path in target.source.paths] == ["B1", "B2", "B3", "B4"]
    assert target.source.roles == ()


def test_a_crs_that_was_set_in_qgis_goes_along(raster_layer):
    raster_layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    assert layers.targets([raster_layer])[0].source.crs == "EPSG:32633"


@pytest.mark.parametrize(
    ("source", "provider", "word"),
    [
        ("type=xyz&url=https://localhost/{z}/{x}/{y}.png&zmax=3&zmin=0", "wms", "web service"),
        ("/nowhere/é gone.tif", "gdal", "missing"),
    ],
)
def test_what_is_no_file_is_refused_in_words(project, source, provider, word):
    with pytest.raises(layers.LayerRefused, match=word):
        layers.file_path(QgsRasterLayer(source, "online", provider))


def test_a_vector_layer_is_refused(project):
    with pytest.raises(layers.LayerRefused, match="not a raster"):
        layers.file_path(QgsVectorLayer("Point?crs=EPSG:4326", "points", "memory"))


def test_results_are_not_offered_as_images(raster_layer):
    assert layers.is_usable(raster_layer)
    raster_layer.setCustomProperty(layers.KIND_PROPERTY, "class")
    assert not layers.is_usable(raster_layer)
