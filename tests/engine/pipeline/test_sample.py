from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import OutputError
from geomm_engine.landscape import LAND_COVERS, draw_landscape
from geomm_engine.pipeline.sample import Sample, write_sample
from geomm_engine.progress import run
from geomm_engine.scoring.class_list import read_class_list

SHAPE = (256, 320)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return run(write_sample(tmp_path_factory.mktemp("échantillon 1"), seed=3, shape_yx=SHAPE))


def test_the_picture_is_reflectance_with_named_bands(sample: Sample) -> None:
    with rasterio.open(sample.image) as raster:
        assert raster.descriptions == ("B04", "B03", "B02", "B08")
        assert raster.dtypes == ("uint16",) * 4
        assert (raster.crs.to_epsg(), raster.res, raster.shape) == (32633, (10.0, 10.0), SHAPE)
        assert raster.nodata == 0
        values = raster.read()
    assert values.min() > 0
    assert np.abs(values[0] / 1e4 - draw_landscape(3, SHAPE).reflectance[..., 0]).max() < 1e-4


def test_truth_lies_on_the_picture_and_has_names(sample: Sample) -> None:
    with rasterio.open(sample.image) as image, rasterio.open(sample.truth) as truth:
        assert (truth.transform, truth.crs, truth.shape) == (image.transform, image.crs, image.shape)
        assert [truth.tags(1)[f"CLASS_{cover.value}"] for cover in LAND_COVERS] == [cover.name for cover in LAND_COVERS]
        assert np.array_equal(truth.read(1), draw_landscape(3, SHAPE).classes)


def test_the_class_list_is_that_of_the_truth(sample: Sample) -> None:
    entries, notes = read_class_list(sample.classes)
    assert notes == ()
    assert [(e.name, e.synonyms, e.color) for e in entries] == [(c.name, c.synonyms, c.color) for c in LAND_COVERS]


def test_only_the_files_that_were_promised_are_there(sample: Sample) -> None:
    names = {path.name for path in sample.image.parent.iterdir()}
    assert names == {"sample.tif", "truth.tif", "truth.tif.aux.xml", "truth.qml", "classes.json"}


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    steps = list(write_sample(tmp_path, shape_yx=(64, 64)))
    assert (steps[0].done, steps[-1].done) == (0, steps[-1].total)  # type: ignore[union-attr]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as refused:
        run(write_sample(tmp_path / "file" / "folder", shape_yx=(64, 64)))
    assert refused.value.code is ErrorCode.OUTPUT_NOT_WRITABLE
