"""``geomm bench``: speed and memory as ratios within one run; absolute times depend on the machine and its mood."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geomm_engine.cli import terminal
from geomm_engine.encoders.encoder import ImageEncoder

_RSS_LIMIT_CHUNKS = 600


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("bench", help="measure speed and memory")
    kinds = verb.add_subparsers(dest="kind", required=True, metavar="KIND")
    throughput = kinds.add_parser("throughput", help="tiles/s end to end over tiles/s of the encoder alone")
    throughput.add_argument("--raster", default="", help="a raster to read (default: the drawn sample)")
    throughput.add_argument("--model", default="")
    throughput.add_argument("--device", default="auto")
    throughput.add_argument("--rounds", type=int, default=3)
    throughput.add_argument("--json", action="store_true")
    throughput.set_defaults(run=run_throughput)
    memory = kinds.add_parser("memory", help="peak memory of embedding a small and a nine times larger raster")
    memory.add_argument("--sizes", default="20000,60000", help="sides in pixels (default 20000,60000)")
    memory.add_argument(
        "--chunks", type=int, default=_RSS_LIMIT_CHUNKS, help="stop each run after so many chunks; 0: never"
    )
    memory.add_argument("--json", action="store_true")
    memory.set_defaults(run=run_memory)
    child = kinds.add_parser("memory-child")
    child.add_argument("raster")
    child.add_argument("index")
    child.add_argument("chunks", type=int)
    child.set_defaults(run=run_memory_child)


@dataclass(frozen=True)
class Throughput:
    """Medians over rounds that alternate the two measurements."""

    device: str
    tiles: int
    end_to_end_tiles_s: float
    encoder_tiles_s: float
    ratio: float


def run_throughput(args: argparse.Namespace) -> int:
    from geomm_engine.contract import EmbedParams, RasterSource
    from geomm_engine.pipeline.embed import EmbedRun, read_tiles
    from geomm_engine.pipeline.prepare import prepare
    from geomm_engine.progress import run as finish

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster = args.raster or _sample(folder)
        prepared = prepare(RasterSource((raster,)), args.model)
        params = EmbedParams(RasterSource((raster,)), args.model, device=args.device)
        with prepared.reading() as reader:
            chunks = list(prepared.grid.chunks())[:4]
            pixels = np.concatenate([read_tiles(prepared, reader, chunk).images for chunk in chunks])
        end_to_end, alone, tiles, device = [], [], 0, ""
        for turn in range(args.rounds + 1):
            run = EmbedRun(prepared, replace(params, index_dir=str(folder / f"index{turn}")))
            started_s = time.perf_counter()
            finish(run.all())
            elapsed_s = time.perf_counter() - started_s
            tiles, device = run.result().tiles_embedded, run.encoder.device
            encoder_s = _encode(run.encoder, pixels, prepared.grid.gsd_m, tiles)
            if turn:
                end_to_end.append(tiles / elapsed_s)
                alone.append(tiles / encoder_s)
    ratio = statistics.median(a / b for a, b in zip(end_to_end, alone, strict=True))
    report = Throughput(
        device, tiles, round(statistics.median(end_to_end), 1), round(statistics.median(alone), 1), round(ratio, 3)
    )
    if args.json:
        terminal.print_json(report)
    else:
        print(f"{report.device}: {report.tiles:,} tiles, end to end {report.end_to_end_tiles_s:,.0f}/s, encoder alone "
              f"{report.encoder_tiles_s:,.0f}/s, ratio {report.ratio:.2f}")  # fmt: skip
    return 0


def _encode(encoder: ImageEncoder, pixels: NDArray[np.float32], gsd_m: float, tiles: int) -> float:
    """Seconds that the encoder alone takes for as many tiles, from memory."""
    started_s = time.perf_counter()
    for at in range(0, tiles, 64):
        count = min(64, tiles - at)
        start = at % max(1, len(pixels) - count + 1)
        encoder.embed_images(pixels[start : start + count], gsd_m)
    return time.perf_counter() - started_s


def _sample(folder: Path) -> str:
    from geomm_engine.pipeline.sample import write_sample

    return str(terminal.follow(write_sample(folder / "sample")).image)


class CheapEncoder:
    """Not a model: the mean colour of each tile, so that reading, cutting and committing are what is measured."""

    device = "no model"
    fallback_reason = ""

    def __init__(self, dim: int) -> None:
        self._dim = dim

    def embed_images(self, images: NDArray[np.float32], gsd_m: float) -> NDArray[np.float32]:
        del gsd_m
        mean = images.mean(axis=(2, 3))
        return np.tile(mean, (1, self._dim // mean.shape[1] + 1))[:, : self._dim].astype(np.float32)


def run_memory_child(args: argparse.Namespace) -> int:
    """One measured process: embeds with the cheap encoder and prints its own peak memory."""
    import resource

    from geomm_engine.contract import EmbedParams, RasterSource
    from geomm_engine.pipeline.embed import EmbedRun
    from geomm_engine.pipeline.prepare import prepare
    from geomm_engine.progress import run as finish

    source = RasterSource((args.raster,))
    prepared = prepare(source)
    run = EmbedRun(prepared, EmbedParams(source, index_dir=args.index))
    run.encoder = CheapEncoder(prepared.card.dim)
    if args.chunks:
        run.limit(args.chunks)
    finish(run.all())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(
        json.dumps(
            {"peak_mb": round(peak_mb, 1), "tiles": run.result().tiles_embedded, "tiles_total": prepared.grid.count}
        )
    )
    return 0


def run_memory(args: argparse.Namespace) -> int:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for side in (int(part) for part in args.sizes.split(",")):
            raster = _sparse_vrt(Path(name), side)
            command = [
                sys.executable,
                "-m",
                "geomm_engine",
                "bench",
                "memory-child",
                str(raster),
                f"{name}/{side}.geomm",
                str(args.chunks),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append({"side_px": side} | json.loads(done.stdout.splitlines()[-1]))
    ratio = round(rows[-1]["peak_mb"] / rows[0]["peak_mb"], 3)
    if args.json:
        terminal.print_json({"runs": rows, "ratio": ratio})
        return 0
    terminal.print_table(
        ("raster", "tiles", "embedded", "peak memory"),
        [(f"{r['side_px']:,}²", f"{r['tiles_total']:,}", f"{r['tiles']:,}", f"{r['peak_mb']:,.0f} MB") for r in rows],
    )
    print(f"\nratio {ratio:.2f}")
    return 0


def _sparse_vrt(folder: Path, side: int) -> Path:
    """A huge raster made of one small picture repeated: real pixels everywhere, almost nothing on disk."""
    import rasterio
    from affine import Affine

    part = 2000
    tile = folder / "part.tif"
    values = np.random.default_rng(0).integers(1, 255, (3, part, part), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": part, "height": part, "count": 3, "dtype": "uint8", "photometric": "rgb"}
    with rasterio.open(
        tile, "w", crs="EPSG:32633", transform=Affine(10, 0, 3e5, 0, -10, 6e6), tiled=True, **profile
    ) as dataset:
        dataset.write(values)
        wkt = dataset.crs.to_wkt()
    colors = ("Red", "Green", "Blue")
    bands = []
    for band in (1, 2, 3):
        parts = "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">part.tif</SourceFilename><SourceBand>{band}</SourceBand>'
            f'<SrcRect xOff="0" yOff="0" xSize="{part}" ySize="{part}"/>'
            f'<DstRect xOff="{x}" yOff="{y}" xSize="{part}" ySize="{part}"/></SimpleSource>'
            for y in range(0, side, part)
            for x in range(0, side, part)
        )
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colors[band - 1]}</ColorInterp>{parts}</VRTRasterBand>'
        )
    vrt = folder / f"huge{side}.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>300000, 10, 0, 6000000, 0, -10</GeoTransform>{''.join(bands)}</VRTDataset>",
        encoding="utf-8",
    )
    return vrt
