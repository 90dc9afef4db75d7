"""Pictures in folders and zips: the same set either way, in every format, and what is no picture is said to be none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geomm_engine.errors import EngineError
from geomm_engine.evaluation.pictures import NotAPicture, decode, opened, plain, spoken

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def encoded(mode: str = "RGB", form: str = "PNG", size: tuple[int, int] = (12, 8), value: int = 51) -> bytes:
    stream = io.BytesIO()
    bands = len(Image.new(mode, (1, 1)).getbands())
    Image.new(mode, size, value if bands == 1 else (value,) * bands).save(stream, form)
    return stream.getvalue()


def write_set(folder: Path) -> Path:
    for name in ("Lake", "Forest"):
        (folder / name).mkdir(parents=True)
        for at in range(4):
            (folder / name / f"é {at}.png").write_bytes(encoded(value=at * 10))
    (folder / "Lake" / "notes.txt").write_text("no picture")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.png").write_bytes(encoded())
    (folder / "cover.png").write_bytes(encoded())
    return folder


def test_a_folder_and_a_zip_of_it_hold_the_same(folder: Path) -> None:
    root = write_set(folder / "set")
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for path in root.rglob("*"):
            archive.write(path, path.relative_to(root))
        archive.writestr("__MACOSX/Lake/._é 0.png", b"x")
    with opened(root) as one, opened(folder / "set.zip") as other:
        assert one.classes == other.classes == ("Forest", "Lake")
        assert one.paths == other.paths
        assert one.labels.tolist() == [0] * 4 + [1] * 4
        assert all(np.array_equal(one.read(row).pixels, other.read(row).pixels) for row in range(8))
        few = one.limited(2, seed=0)
        assert np.bincount(few.labels).tolist() == [2, 2]
        assert few.paths == one.limited(2, seed=0).paths


def test_what_holds_no_classes_is_refused(folder: Path) -> None:
    (folder / "bad.zip").write_bytes(b"no zip")
    for path, reason in ((folder / "bad.zip", "no zip"), (folder / "absent", "no zip"), (folder, "two class folders")):
        with pytest.raises(EngineError, match=reason), opened(path):
            pass


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_every_eight_bit_picture_is_read_as_three_bands(mode: str) -> None:
    pixels = decode(encoded(mode), "a.png").pixels
    assert pixels.shape == (3, 8, 12)
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.png"),
        (encoded(form="JPEG", size=(64, 64))[:200], "a.jpg"),
        (encoded("I;16"), "a.png"),
        (b"II*\0nothing", "a.tif"),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(data: bytes, name: str) -> None:
    with pytest.raises(NotAPicture):
        decode(data, name)


def test_a_georeferenced_picture_knows_its_place_and_pixel(folder: Path) -> None:
    path = folder / "a.tif"
    profile = {"driver": "GTiff", "width": 20, "height": 20, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=Affine(10, 0, 5e5, 0, -10, 5e6), **profile) as dataset:
        dataset.write(np.full((3, 20, 20), 9, np.uint8))
    picture = decode(path.read_bytes(), path.name)
    assert picture.gsd_m == pytest.approx(10, rel=0.02)
    assert picture.bounds is not None
    assert picture.bounds[0] == pytest.approx(15, abs=0.01)
    assert decode(encoded(form="TIFF"), "a.tif").bounds is None


def test_names_of_folders_are_spoken_and_compared() -> None:
    assert spoken("HerbaceousVegetation") == "herbaceous vegetation"
    assert spoken("dense_residential-area") == "dense residential area"
    assert spoken("mobilehomepark") == "mobile home park"
    assert plain("River Bank") == plain("river_bank") == "riverbank"
