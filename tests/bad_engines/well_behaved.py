#!/usr/bin/python3
"""A small engine that keeps the contract: real files come out, no model is asked. The bad engines are its children.

Runs under a Python that has ``osgeo`` (a system with QGIS); ``contract.py`` is loaded from the engine's sources.
"""

import dataclasses
import importlib.util
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path

_CONTRACT = Path(__file__).resolve().parents[2] / "engine" / "geomm_engine" / "contract.py"
_spec = importlib.util.spec_from_file_location("contract", _CONTRACT)
contract = importlib.util.module_from_spec(_spec)
sys.modules["contract"] = contract
_spec.loader.exec_module(contract)

TILE_PX = 16


class Cancelled(Exception):
    """The person asked for an end."""


class Engine:
    """Answers one message after the other; a reader thread only fills the queue."""

    steps = 20
    step_s = 0.02

    def __init__(self):
        self.inbox = queue.Queue()
        self.cancelled = set()

    def run(self):
        threading.Thread(target=self.read, daemon=True).start()
        while True:
            message = self.inbox.get()
            if message is None:
                return
            self.answer(message)

    def read(self):
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message.get("method") == contract.CANCEL:
                self.cancelled.add(message["params"]["id"])
            else:
                self.inbox.put(message)
        os._exit(0)

    def send(self, message):
        sys.stdout.buffer.write(contract.line(message))
        sys.stdout.buffer.flush()

    def answer(self, message):
        method, id_ = message["method"], message["id"]
        try:
            params = contract.decode(contract.METHODS[method][0], message["params"])
            result = getattr(self, "do_" + method.replace("/", "_"))(id_, params)
        except Cancelled:
            self.send(contract.error_response(id_, contract.ErrorCode.CANCELLED, "The job was cancelled."))
        except contract.ContractError as problem:
            self.send(contract.error_response(id_, contract.ErrorCode.MESSAGE_INVALID, str(problem)))
        else:
            self.send(contract.response(id_, result))

    # --- short requests

    def do_initialize(self, id_, params):
        models = (self.model(),)
        devices = (contract.Device("cpu", "CPU, 2 threads", True),)
        return contract.InitializeResult(contract.PROTOCOL, "0.0-fake", "3.11", os.getpid(), devices, models)

    def model(self):
        return contract.ModelSummary(
            "fake",
            "GeoMM Fake",
            "1",
            "CC0-1.0",
            0.3,
            30.0,
            ("red", "green", "blue"),
            64,
            1.0,
            "For tests.",
            True,
            ("EuroSAT 10 classes: 90 %",),
        )

    taught = None

    def do_models_list(self, id_, params):
        return contract.ModelsResult((self.model(), self.taught) if self.taught else (self.model(),))

    def do_models_show(self, id_, params):
        return contract.ModelCardResult(params.model, "{}")

    def do_presets_list(self, id_, params):
        classes = (contract.ClassEntry("forest", ("woodland",), "#1b7837"), contract.ClassEntry("water", (), "#2166ac"))
        return contract.PresetsResult((contract.PresetEntry("two", "Two classes", classes),))

    def do_preflight(self, id_, params):
        level = contract.Level.GREEN if params.source.unit else contract.Level.AMBER
        notes = () if params.source.unit else (contract.Note("unit_assumed", level, "The unit is assumed."),)
        return contract.PreflightResult(
            level, notes, ("red", "green", "blue"), "reflectance", 10.0, 160.0, 400, 0, 1.5, "cpu", "/tmp"
        )

    def do_shutdown(self, id_, params):
        self.inbox.put(None)
        return contract.Empty()

    # --- jobs

    def work(self, id_, stage="embed"):
        for step in range(1, self.steps + 1):
            if id_ in self.cancelled:
                raise Cancelled
            self.send(
                contract.notification(contract.PROGRESS, contract.ProgressNote(id_, stage, step, self.steps, 50.0, 0.1))
            )
            time.sleep(self.step_s)

    def embedded(self):
        return contract.EmbedResult("/tmp/index", self.steps, self.steps, 0, 0, 0, 1.0, "cpu")

    def do_embed(self, id_, params):
        self.work(id_)
        return self.embedded()

    def do_classify(self, id_, params):
        self.work(id_)
        folder = Path(params.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        shown = [entry for entry in params.classes if not entry.is_negative]
        grid = Grid(params.source.paths[0])
        class_path, confidence_path = folder / "class.tif", folder / "confidence.tif"
        grid.write(class_path, lambda row, col: 1 + (row + col) % len(shown), is_byte=True)
        grid.write(confidence_path, lambda row, col: 0.5 + 0.01 * (col % 40), is_byte=False)
        self.send(contract.notification(contract.PARTIAL, contract.PartialNote(id_, "class", str(class_path))))
        tiles_path = folder / "tiles.gpkg"
        grid.write_tiles(tiles_path, "tiles")
        (folder / "summary.json").write_text("{}", encoding="utf-8")
        shares = tuple(
            contract.ClassShare(place, entry.name, entry.color or "#336699", 10, 25.6, 1 / len(shown))
            for place, entry in enumerate(shown, 1)
        )
        return contract.ClassifyResult(
            str(class_path),
            str(confidence_path),
            "",
            str(tiles_path),
            str(folder / "summary.json"),
            "/tmp/index",
            shares,
            0.7,
            self.embedded(),
        )

    def do_search(self, id_, params):
        self.work(id_)
        folder = Path(params.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        grid = Grid(params.source.paths[0])
        grid.write(folder / "score.tif", lambda row, col: 0.01 * ((row * 7 + col * 3) % 30), is_byte=False)
        hits = grid.hits(20)
        grid.write_tiles(folder / "hits.gpkg", "hits", hits)
        scores = [0.01 * step for step in range(30)]
        return contract.SearchResult(
            str(folder / "score.tif"),
            str(folder / "hits.gpkg"),
            "/tmp/index",
            grid.crs_id(),
            hits,
            tuple(range(30, 0, -1)),
            scores[0],
            scores[-1],
            0.2,
        )

    def do_locate(self, id_, params):
        self.work(id_, "look")
        folder = Path(params.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        names = ("heatmap.tif", "heatmap_equal_area.tif", "places.gpkg", "map.png", "world.png", "summary.json")
        paths = [str(folder / name) for name in names]
        write_world(*paths[:3])
        place = contract.Place(1, -17.5, 178.0, "Fiji", 0.8, 250.0)
        disagrees = contract.Verdict.DISAGREES
        text = "The imagery disagrees with its coordinates by about 16,000 km."
        return contract.LocateResult(
            *paths,
            "fake 1",
            place,
            (place, contract.Place(2, 48.0, 68.0, "Kazakhstan", 0.1, 250.0)),
            180.0,
            420.0,
            1e5,
            3e5,
            (contract.ClimateShare("Aw", "Tropical, savannah", "Tropical", 0.9, "#46aafa"),),
            contract.Season(360, "late December", 20.0, 60.0),
            0.1,
            9,
            0,
            (4.0,),
            contract.PlaceCheck(50.4, 9.0, 16000.0, 1.0, disagrees, text),
            None,
            (contract.Note("place_disagrees", contract.Level.AMBER, text),),
        )

    def do_export(self, id_, params):
        self.work(id_, "write")
        Path(params.output_path).write_bytes(b"x")
        text = "The index holds 7 of the 9 tiles there; the others were not looked at."
        lacking = (contract.Note("index_incomplete", contract.Level.AMBER, text, {"done": 7, "total": 9}),)
        return contract.ExportResult(params.output_path, 7, lacking if "half" in params.output_path else ())

    def do_teach(self, id_, params):
        self.work(id_, "train")
        model = dataclasses.replace(self.model(), id="taught", name=params.name, is_builtin=False, hops=1)
        bridge = (
            contract.BridgeLine("radar → words", "taught", "same word as the teacher", 0.8, 0.7, 0.9, 0.3, 40),
            contract.BridgeLine("radar → words", "taught", "R@1 to the teacher", 0.4, 0.2, 0.6, 0.1, 10),
        )
        self.taught = model
        return contract.TeachResult(model, "/tmp/models/taught", "/tmp/lessons/taught", 0.8, bridge)


def write_world(heatmap, equal_area, places):
    """Small files where the engine would put large ones."""
    import struct

    from osgeo import gdal, ogr, osr

    gdal.UseExceptions()
    degrees = osr.SpatialReference()
    degrees.ImportFromEPSG(4326)
    for path in (heatmap, equal_area):
        out = gdal.GetDriverByName("GTiff").Create(path, 36, 18, 2, gdal.GDT_Float32)
        out.SetGeoTransform((-180, 10, 0, 90, 0, -10))
        out.SetProjection(degrees.ExportToWkt())
        for band in (1, 2):
            out.GetRasterBand(band).WriteRaster(0, 0, 36, 18, struct.pack("648f", *[1 / 648] * 648))
        out = None
    vector = ogr.GetDriverByName("GPKG").CreateDataSource(places)
    for name, kind, wkt in (
        ("regions", ogr.wkbMultiPolygon, "MULTIPOLYGON(((170 -20,180 -20,180 -10,170 -10,170 -20)))"),
        ("places", ogr.wkbPoint, "POINT(178 -17.5)"),
    ):
        layer = vector.CreateLayer(name, degrees, kind)
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
    vector = None


class Grid:
    """The tiles of a raster, coarse: one pixel of a result is one tile."""

    def __init__(self, path):
        from osgeo import gdal

        gdal.UseExceptions()
        raster = gdal.Open(path)
        self.geo, self.projection = raster.GetGeoTransform(), raster.GetProjection()
        self.rows, self.cols = max(1, raster.RasterYSize // TILE_PX), max(1, raster.RasterXSize // TILE_PX)

    def crs_id(self):
        from osgeo import osr

        crs = osr.SpatialReference(wkt=self.projection)
        return f"EPSG:{crs.GetAuthorityCode(None)}"

    def write(self, path, value_of, *, is_byte):
        import struct

        from osgeo import gdal

        kind = gdal.GDT_Byte if is_byte else gdal.GDT_Float32
        out = gdal.GetDriverByName("GTiff").Create(str(path), self.cols, self.rows, 1, kind)
        out.SetGeoTransform((self.geo[0], self.geo[1] * TILE_PX, 0, self.geo[3], 0, self.geo[5] * TILE_PX))
        out.SetProjection(self.projection)
        out.GetRasterBand(1).SetNoDataValue(0 if is_byte else -9999)
        for row in range(self.rows):
            values = [value_of(row, col) for col in range(self.cols)]
            data = struct.pack(f"{self.cols}{'B' if is_byte else 'f'}", *values)
            out.GetRasterBand(1).WriteRaster(0, row, self.cols, 1, data)
        out = None

    def bounds(self, row, col):
        left, top = self.geo[0] + col * TILE_PX * self.geo[1], self.geo[3] + row * TILE_PX * self.geo[5]
        return (left, top + TILE_PX * self.geo[5], left + TILE_PX * self.geo[1], top)

    def hits(self, count):
        places = [(row, col) for row in range(self.rows) for col in range(self.cols)][:count]
        return tuple(
            contract.Hit(rank, row, col, 0.3 - 0.01 * rank, 0.2, self.bounds(row, col))
            for rank, (row, col) in enumerate(places, 1)
        )

    def write_tiles(self, path, layer_name, hits=None):
        from osgeo import ogr, osr

        path.unlink(missing_ok=True)
        out = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
        layer = out.CreateLayer(layer_name, osr.SpatialReference(wkt=self.projection), ogr.wkbPolygon)
        layer.CreateField(ogr.FieldDefn("rank", ogr.OFTInteger))
        layer.CreateField(ogr.FieldDefn("score", ogr.OFTReal))
        for hit in hits or self.hits(50):
            feature = ogr.Feature(layer.GetLayerDefn())
            feature["rank"], feature["score"] = hit.rank, hit.score
            x0, y0, x1, y1 = hit.bounds_xyxy
            feature.SetGeometry(
                ogr.CreateGeometryFromWkt(f"POLYGON(({x0} {y0},{x1} {y0},{x1} {y1},{x0} {y1},{x0} {y0}))")
            )
            layer.CreateFeature(feature)
        out = None


if __name__ == "__main__":
    Engine().run()
