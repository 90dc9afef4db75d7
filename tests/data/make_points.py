"""Cuts pictures whose place is known from the monthly mosaics, with the POINTS.csv that ``geomm evaluate locate`` reads.

``python -m tests.data.make_points DIR --count 600`` takes the held-out blocks; ``--part training`` makes a gallery for the
nearest embedding. Needs the shared data (``GEOMM_SHARED_DATA``).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from geomm_engine.geography.koppen import CODES
from geomm_engine.geography.world import read_koppen, read_land
from geomm_engine.training.blocks import Part
from geomm_engine.training.config import data_folder
from geomm_engine.training.earth import read_mosaics
from geomm_engine.training.places import Widths, World, draw_pool

MOSAICS = Path("geo/blue_marble_months_5400x2700")
YEAR = 2004


def make_points(folder: Path, count: int, part: Part, *, px: int = 96, seed: int = 5, data: Path | None = None) -> Path:
    """``count`` crops of 300–600 km centred on land of these blocks, the months in turn; gives the CSV's path."""
    source = data or data_folder()
    world = World(read_mosaics(source / MOSAICS), read_koppen(source), read_land(source))
    random = np.random.default_rng([seed, int(part)])
    pool = draw_pool(world, count, Widths(common_share=1.0), part, random, sea_share=0.0)
    month = np.arange(count) % 12 + 1
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "points.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "lat", "lon", "date", "width_km", "koppen"])
        for at in range(count):
            one = slice(at, at + 1)
            picture = world.mosaics.crop(month[one], pool.lat[one], pool.lon[one], pool.width_km[one], px)[0]
            name = f"{at:05d}.png"
            Image.fromarray(picture).save(folder / name)
            code = CODES[int(pool.climate[at, 1:].argmax()) + 1]
            date = f"{YEAR}-{month[at]:02d}-15"
            rows.writerow([name, f"{pool.lat[at]:.4f}", f"{pool.lon[at]:.4f}", date, f"{pool.width_km[at]:.1f}", code])
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--part", choices=[part.name.lower() for part in Part], default="held_out")
    parser.add_argument("--px", type=int, default=96)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    print(make_points(args.folder, args.count, Part[args.part.upper()], px=args.px, seed=args.seed))


if __name__ == "__main__":
    main()
