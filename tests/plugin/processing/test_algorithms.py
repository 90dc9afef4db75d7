"""The algorithms in this process, with the real engine: layers in, styled files out."""

import os

import pytest
from qgis.analysis import QgsNativeAlgorithms
from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from geomm_plugin.processing.base import GeommAlgorithm
from geomm_plugin.processing.provider import GeommProvider
from geomm_plugin.settings import Settings

from ..conftest import draw_raster, engine_command

LONG_MS = 120_000


@pytest.fixture
def registry(qgis_app):
    provider = GeommProvider()
    found = QgsApplication.processingRegistry()
    found.addProvider(provider)
    yield found
    found.removeProvider(provider)


@pytest.fixture
def run(registry, project):
    """Runs an algorithm; a failure is an exception with its message."""

    def go(name, parameters, feedback=None):
        algorithm = registry.algorithmById(name).create()
        context, feedback = QgsProcessingContext(), feedback or QgsProcessingFeedback(False)
        context.setProject(project)
        is_right, why = algorithm.checkParameterValues(parameters, context)
        if not is_right:
            raise QgsProcessingException(why)
        found, is_done = algorithm.run(parameters, context, feedback)
        if not is_done:
            raise QgsProcessingException(feedback.textLog())
        return found

    return go


def test_every_algorithm_explains_itself(registry):
    for name in ("classifylayer", "searchbytext", "embedlayer", "locate", "anomaly", "teachsensor", "chips"):
        algorithm = registry.algorithmById(f"geomm:{name}")
        assert algorithm.displayName()
        assert algorithm.shortHelpString()
        assert algorithm.tags()
        assert os.path.isfile(algorithm.svgIconPath())


def test_a_missing_engine_is_explained(registry, monkeypatch):
    monkeypatch.setattr("geomm_plugin.processing.base.find_engine", lambda _settings=None: None)
    can_run, why = registry.algorithmById("geomm:classifylayer").canExecute()
    assert not can_run
    assert "not installed" in why


def test_classify_writes_map_and_tiles(run, real_engine, raster_layer, work_dir):
    output, tiles = str(work_dir / "classes é.tif"), str(work_dir / "tiles é.gpkg")
    found = run(
        "geomm:classifylayer",
        {"INPUT": raster_layer, "CLASSES": "water: lake, field, !cloud", "OUTPUT": output, "TILES": tiles},
    )
    assert found["OUTPUT"] == output
    assert QgsRasterLayer(output, "x").isValid()
    assert QgsVectorLayer(tiles, "x").featureCount() > 0
    assert found["CLASS_COUNT"] >= 1


def test_search_writes_likeness_and_hits(run, real_engine, raster_layer):
    found = run(
        "geomm:searchbytext",
        {"INPUT": raster_layer, "TEXT": "a lake", "TOP_K": 5, "OUTPUT": "TEMPORARY_OUTPUT", "HITS": "TEMPORARY_OUTPUT"},
    )
    assert QgsVectorLayer(found["HITS"], "x").featureCount() == 5
    assert QgsRasterLayer(found["OUTPUT"], "x").isValid()


def test_locate_writes_heat_and_regions(run, registry, monkeypatch, raster_layer, work_dir):
    monkeypatch.setattr(
        "geomm_plugin.processing.base.find_engine", lambda _settings=None: engine_command("well_behaved")
    )
    output, regions = str(work_dir / "heat é.tif"), str(work_dir / "regions é.gpkg")
    found = run(
        "geomm:locate",
        {"INPUT": raster_layer, "COUNTRY": "Fiji", "DATE": "2004-07-15", "OUTPUT": output, "REGIONS": regions},
    )
    assert QgsRasterLayer(found["OUTPUT"], "x").bandCount() == 2
    assert QgsVectorLayer(f"{found['REGIONS']}|layername=places", "x").featureCount() == 1
    assert found["PLACE_COUNTRY"] == "Fiji"
    assert "disagrees" in found["VERDICT"]
    assert found["DISTANCE_KM"] == 16000


def test_embed_then_nothing_is_left_to_do(run, real_engine, raster_layer, work_dir):
    folder = str(work_dir / "index é")
    first = run("geomm:embedlayer", {"INPUT": raster_layer, "OUTPUT": folder})
    again = run("geomm:embedlayer", {"INPUT": raster_layer, "OUTPUT": folder})
    assert first["EMBEDDED_COUNT"] > 0
    assert again["EMBEDDED_COUNT"] == 0


def test_a_sensor_is_taught(run, registry, monkeypatch, raster_layer, work_dir):
    from ..conftest import engine_command

    monkeypatch.setattr("geomm_plugin.processing.base.find_engine", lambda _s=None: engine_command("well_behaved"))
    radar = QgsRasterLayer(str(draw_raster(work_dir / "radar é.tif", bands=("vv", "vh"))), "radar")
    QgsProject.instance().addMapLayer(radar)
    found = run("geomm:teachsensor", {"REFERENCE": raster_layer, "TARGETS": [radar], "NAME": "Radar é"})
    assert found["MODEL_ID"] == "taught"
    assert found["AGREEMENT"] == 0.8


@pytest.mark.parametrize("name", ["classifylayer", "searchbytext", "embedlayer", "teachsensor"])
def test_the_chosen_device_is_asked_for(run, monkeypatch, raster_layer, name):
    asked = []

    def take(_self, _method, params, _feedback):
        asked.append(params)
        raise QgsProcessingException("enough")

    monkeypatch.setattr(GeommAlgorithm, "_run", take)
    monkeypatch.setattr(Settings, "device", "cpu")
    parameters = {"INPUT": raster_layer, "TEXT": "water", "OUTPUT": "TEMPORARY_OUTPUT", "HITS": "TEMPORARY_OUTPUT"}
    if name == "teachsensor":
        parameters = {"REFERENCE": raster_layer, "TARGETS": [raster_layer], "NAME": "x"}
    with pytest.raises(QgsProcessingException):
        run(f"geomm:{name}", parameters)
    assert [params.device for params in asked] == ["cpu"]


def test_anomalies_need_a_model_that_rebuilds(run, real_engine, raster_layer):
    asked = {"INPUT": raster_layer, "OUTPUT": "TEMPORARY_OUTPUT", "TILES": "TEMPORARY_OUTPUT"}
    with pytest.raises(QgsProcessingException, match="Name a model that rebuilds images"):
        run("geomm:anomaly", {**asked, "MODEL": ""})
    with pytest.raises(QgsProcessingException, match="does not rebuild images"):
        run("geomm:anomaly", {**asked, "MODEL": "geomm-nano"})


def test_layers_are_cut_into_chips(run, real_engine, raster_layer, work_dir):
    found = run(
        "geomm:chips", {"LAYERS": [raster_layer], "TILE_PX": 64, "MIN_VALID": 0.1, "OUTPUT": str(work_dir / "chips é")}
    )
    index = QgsVectorLayer(found["INDEX"], "x")
    assert index.featureCount() == found["FILE_COUNT"] == found["CHIP_COUNT"] > 0
    first = next(index.getFeatures())
    assert first["gsd_m"] == pytest.approx(found["GSD_MIN"], rel=0.01)
    assert QgsRasterLayer(str(work_dir / "chips é" / first["path"]), "chip").isValid()


def test_polygons_and_extent_limit_the_area(run, real_engine, raster_layer, project):
    extent = raster_layer.extent()
    half = QgsRectangle(extent.xMinimum(), extent.yMinimum(), extent.center().x(), extent.yMaximum())
    polygons = QgsVectorLayer("Polygon?crs=EPSG:32632", "half", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(half))
    polygons.dataProvider().addFeature(feature)
    project.addMapLayer(polygons)
    common = {
        "INPUT": raster_layer,
        "TEXT": "field",
        "TOP_K": 10_000,
        "OUTPUT": "TEMPORARY_OUTPUT",
        "HITS": "TEMPORARY_OUTPUT",
    }
    whole = run("geomm:searchbytext", common)["HIT_COUNT"]
    assert 0 < run("geomm:searchbytext", {**common, "AREA": polygons})["HIT_COUNT"] < whole
    top = QgsRectangle(extent.xMinimum(), extent.center().y(), extent.xMaximum(), extent.yMaximum())
    assert 0 < run("geomm:searchbytext", {**common, "EXTENT": top})["HIT_COUNT"] < whole


def test_wrong_values_are_refused_in_words(run, real_engine, raster_layer):
    with pytest.raises(QgsProcessingException, match="at least one class"):
        run("geomm:classifylayer", {"INPUT": raster_layer, "CLASSES": " , !cloud", "OUTPUT": "TEMPORARY_OUTPUT"})
    with pytest.raises(QgsProcessingException, match="not supported"):
        run("geomm:classifylayer", {"INPUT": raster_layer, "CLASSES": "a,b", "OUTPUT": "/nowhere/x.png"})
    with pytest.raises(QgsProcessingException, match="nosuchmodel"):
        run(
            "geomm:classifylayer",
            {"INPUT": raster_layer, "CLASSES": "a,b", "MODEL": "nosuchmodel", "OUTPUT": "TEMPORARY_OUTPUT"},
        )


def test_it_runs_in_a_task_thread(registry, project, qtbot, real_engine, raster_layer, work_dir):
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
    context.setProject(project)
    algorithm = registry.algorithmById("geomm:classifylayer")
    parameters = {"INPUT": raster_layer, "CLASSES": "water, field", "OUTPUT": str(work_dir / "é.tif")}
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    with qtbot.waitSignal(task.executed, timeout=LONG_MS) as done:
        QgsApplication.taskManager().addTask(task)
    assert done.args[0] is True, feedback.textLog()
    assert QgsRasterLayer(done.args[1]["OUTPUT"], "x").isValid()


def test_cancel_ends_it(registry, project, qtbot, raster_layer, monkeypatch):
    from ..conftest import engine_command

    monkeypatch.setattr("geomm_plugin.processing.base.find_engine", lambda _settings=None: engine_command("slow"))
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
    context.setProject(project)
    task = QgsProcessingAlgRunnerTask(
        registry.algorithmById("geomm:embedlayer"), {"INPUT": raster_layer}, context, feedback
    )
    with qtbot.waitSignal(feedback.progressChanged, timeout=LONG_MS):
        QgsApplication.taskManager().addTask(task)
    with qtbot.waitSignal(task.executed, timeout=LONG_MS) as done:
        task.cancel()
    assert done.args[0] is False


def test_a_model_chains_it(registry, qgis_processing, project, real_engine, raster_layer):
    """Classify, then QGIS's own polygonize-free statistics: unique values of the class map."""
    model = QgsProcessingModelAlgorithm("chain", "chain", "")
    classify = QgsProcessingModelChildAlgorithm("geomm:classifylayer")
    classify.setChildId("classify")
    classify.addParameterSources("INPUT", [QgsProcessingModelChildParameterSource.fromStaticValue(raster_layer.id())])
    classify.addParameterSources("CLASSES", [QgsProcessingModelChildParameterSource.fromStaticValue("water, field")])
    model.addChildAlgorithm(classify)
    count = QgsProcessingModelChildAlgorithm("native:rasterlayeruniquevaluesreport")
    count.setChildId("count")
    count.addParameterSources("INPUT", [QgsProcessingModelChildParameterSource.fromChildOutput("classify", "OUTPUT")])
    count.addParameterSources("BAND", [QgsProcessingModelChildParameterSource.fromStaticValue(1)])
    table = QgsProcessingModelOutput("table")
    table.setChildId("count")
    table.setChildOutputName("OUTPUT_TABLE")
    count.setModelOutputs({"table": table})
    model.addChildAlgorithm(count)
    if registry.algorithmById("native:rasterlayeruniquevaluesreport") is None:
        registry.addProvider(QgsNativeAlgorithms(registry))
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
    context.setProject(QgsProject.instance())
    found, is_done = model.run({"count:table": "TEMPORARY_OUTPUT"}, context, feedback)
    assert is_done, feedback.textLog()
    assert found["CHILD_RESULTS"]["count"]["TOTAL_PIXEL_COUNT"] > 0
