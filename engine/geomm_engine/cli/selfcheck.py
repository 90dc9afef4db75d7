"""``geomm selfcheck``: does everything that the engine needs work on this machine? One line a check."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geomm_engine.cli import terminal


@dataclass(frozen=True)
class Check:
    name: str
    is_ok: bool
    detail: str


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("selfcheck", help="try every part of the engine on this machine")
    verb.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    parts: tuple[tuple[str, Callable[[], str]], ...] = (
        ("libraries", _libraries),
        ("devices", _devices),
        ("models", _models),
        ("words and pictures", _towers),
        ("places", _places),
        ("folders", _folders),
        ("a small raster", _raster),
    )
    checks = []
    for name, check in parts:
        try:
            checks.append(Check(name, True, check()))
        except Exception as problem:  # noqa: BLE001 - a self-check reports whatever fails
            checks.append(Check(name, False, f"{type(problem).__name__}: {problem}"))
        if not args.json:
            print(f"{'ok  ' if checks[-1].is_ok else 'FAIL'}  {name}: {checks[-1].detail}")
    is_ok = all(check.is_ok for check in checks)
    if args.json:
        terminal.print_json({"is_ok": is_ok, "checks": checks})
    return 0 if is_ok else 1


def _libraries() -> str:
    import onnxruntime
    import pyproj
    import rasterio
    import zarr

    versions = {
        "Python": sys.version.split()[0],
        "GDAL": rasterio.__gdal_version__,
        "PROJ": pyproj.proj_version_str,
        "ONNX Runtime": onnxruntime.__version__,
        "Zarr": zarr.__version__,
    }
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _devices() -> str:
    from geomm_engine.encoders.device import devices

    return ", ".join(f"{device.name}{' (default)' if device.is_default else ''}" for device in devices())


def _models() -> str:
    from geomm_engine.encoders.card import ModelFolder
    from geomm_engine.encoders.registry import list_models
    from geomm_engine.geography.expert_card import ExpertFolder, list_experts

    found: list[ModelFolder | ExpertFolder] = [*list_models(), *list_experts()]
    damaged = [f"{folder.card.id}/{name}" for folder in found for name in folder.damaged_files()]
    if damaged or not found:
        raise RuntimeError(f"damaged: {', '.join(damaged)}" if damaged else "no model is installed")
    return ", ".join(f"{folder.card.id} {folder.card.version}, all files as on the card" for folder in found)


def _towers() -> str:
    from geomm_engine.encoders.device import open_image_encoder
    from geomm_engine.encoders.onnx_encoder import OnnxTextEncoder
    from geomm_engine.encoders.registry import find_model

    folder = find_model()
    encoder = open_image_encoder(folder)
    px = folder.card.scales[-1].tile_px
    images = np.random.default_rng(0).random((64, len(folder.card.bands), px, px), dtype=np.float32)
    started_s = time.perf_counter()
    vectors = encoder.embed_images(images, folder.card.gsd_max_m)
    rate = len(images) / (time.perf_counter() - started_s)
    texts = OnnxTextEncoder(folder).embed_texts(["forest", "water"])
    if not (np.isfinite(vectors).all() and np.isfinite(texts).all()):
        raise RuntimeError("the model gives numbers that are not finite")
    reason = f" ({encoder.fallback_reason})" if encoder.fallback_reason else ""
    return f"{encoder.device}{reason}, about {rate:,.0f} tiles/s in this one batch"


def _places() -> str:
    from geomm_engine.geography.expert import open_expert

    expert = open_expert()
    px = expert.card.tile_px
    images = np.random.default_rng(0).random((1, 3, px, px), dtype=np.float32)
    answer = expert.answer(images, expert.card.gsd_min_m)
    if not (np.isfinite(answer.log_weights).all() and np.isfinite(answer.climate_log_p).all()):
        raise RuntimeError("the expert gives numbers that are not finite")
    return f"{expert.card.id} weighs {answer.log_weights.shape[1]:,} centres"


def _folders() -> str:
    from geomm_engine.pipeline.embed import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder):
        return f"{folder} can be written"


def _raster() -> str:
    import rasterio
    from affine import Affine

    from geomm_engine.contract import ClassEntry, ClassifyParams, RasterSource
    from geomm_engine.pipeline.classify import classify
    from geomm_engine.progress import run as finish

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = np.random.default_rng(1).integers(40, 90, (3, 200, 200), dtype=np.uint8)
        with rasterio.open(
            folder / "check.tif", "w", driver="GTiff", width=200, height=200, count=3, dtype="uint8", crs="EPSG:32633",
            transform=Affine(10, 0, 5e5, 0, -10, 5e6), photometric="rgb",
        ) as dataset:  # fmt: skip
            dataset.write(values)
        classes = (ClassEntry("forest"), ClassEntry("water"))
        source = RasterSource((str(folder / "check.tif"),))
        result = finish(classify(ClassifyParams(source, classes, str(folder / "out"), index_dir=str(folder / "index"))))
        return f"{result.embed.tiles_embedded} tiles embedded, classified and written"
