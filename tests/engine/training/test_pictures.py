"""Zipped class folders: read in order, and refused with a reason when something in them is wrong."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geomm_engine.errors import EngineError
from geomm_engine.training.pictures import pyramid, read_zip


def png(value: int, side_px: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (value, value, value)).save(stream, "PNG")
    return stream.getvalue()


def archive(path: Path, items: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as stream:
        for name, data in items.items():
            stream.writestr(name, data)
    return path


def test_folders_are_classes(folder: Path) -> None:
    path = archive(
        folder / "données.zip", {"b/1.png": png(9), "a/2.png": png(5, 80), "a/1.png": png(7), "read.me": b"text"}
    )
    pictures = read_zip(path, "set", 10.0, 64)
    assert pictures.classes == ("set/a", "set/b")
    assert pictures.labels.tolist() == [0, 0, 1]
    assert pictures.pixels[:, 0, 0, 0].tolist() == [7, 5, 9]


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ({"a/1.png": png(1), "b/1.png": b"no picture"}, "b/1.png is corrupt"),
        ({"a/1.png": png(1)[:60], "b/1.png": png(1)}, "a/1.png is corrupt"),
        ({"a/1.png": png(1)}, "two class folders"),
        ({}, "two class folders"),
    ],
)
def test_faulty_archive_is_refused(folder: Path, items: dict[str, bytes], reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        read_zip(archive(folder / "bad.zip", items), "set", 10.0, 64)


def test_no_archive_is_refused(folder: Path) -> None:
    (folder / "bad.zip").write_bytes(b"not a zip")
    for name in ("bad.zip", "absent.zip"):
        with pytest.raises(EngineError, match="cannot be read"):
            read_zip(folder / name, "set", 10.0, 64)


def test_pyramid_levels(folder: Path) -> None:
    pictures = read_zip(archive(folder / "a.zip", {"a/1.png": png(1, 128), "b/1.png": png(3, 128)}), "set", 0.5, 128)
    levels = pyramid(pictures)
    assert [level.shape[-1] for level in levels.levels] == [128, 64, 32]
    assert [levels.level_for(gsd_m) for gsd_m in (0.1, 0.5, 0.9, 1.0, 1.7, 2.0, 9.0)] == [0, 0, 0, 1, 1, 2, 2]
    assert np.unique(levels.levels[2].numpy()).tolist() == [1, 3]
