"""An index answers to a place where a location model shares its space, and refuses plainly where none does."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomm_engine.contract import ErrorCode, ExportParams
from geomm_engine.errors import EngineError
from geomm_engine.pipeline.search import export
from geomm_engine.progress import run
from tests.engine.pipeline.asking import embedded, searched, source
from tests.engine.placed_model import write_placed_model

NORTH, SOUTH = (60.0, 25.0), (-60.0, 25.0)


@pytest.fixture
def placed_model(folder: Path) -> str:
    return str(write_placed_model(folder / "placé"))


def test_a_place_finds_what_looks_like_it(landscape: Path, placed_model: str, folder: Path) -> None:
    index = str(folder / "index")
    north = searched(
        folder / "n", "", source=source(landscape), model=placed_model, index_dir=index, place=NORTH, top_k=40
    )
    south = searched(folder / "s", "", model=placed_model, index_dir=index, place=SOUTH, top_k=40)
    assert all(hit.col <= 10 and hit.row <= 10 for hit in north.hits), "forest, and the tiles at its edge"
    assert all(hit.col >= 9 and hit.row <= 10 for hit in south.hits), "water, and the tiles at its shore"
    again = searched(folder / "a", "", model=placed_model, index_dir=index, place=(60.0, 25.0 - 360.0), top_k=40)
    assert again.hits == north.hits
    exported = run(
        export(ExportParams(index, "", str(folder / "hits.gpkg"), north.threshold, model=placed_model, place=NORTH))
    )
    assert exported.tiles >= 1


def test_places_of_another_space_are_refused(landscape: Path, tiny_model: str, placed_model: str, folder: Path) -> None:
    embedded(landscape, tiny_model, folder / "index")
    with pytest.raises(EngineError, match="no installed model knows places") as refusal:
        searched(folder / "out", "", index_dir=str(folder / "index"), place=NORTH)
    assert refusal.value.code == ErrorCode.INDEX_INCOMPATIBLE
    assert refusal.value.cure
    with pytest.raises(EngineError, match="no places of Tiny lie"):
        searched(folder / "out", "", index_dir=str(folder / "index"), model=tiny_model, place=NORTH)
    with pytest.raises(EngineError, match="no location tower"):
        searched(folder / "out", "", source=source(landscape), model=tiny_model, place=NORTH)
    for place in ((91.0, 0.0), (0.0, 400.0), (float("nan"), 0.0)):
        with pytest.raises(EngineError) as refusal:
            searched(folder / "out", "", source=source(landscape), model=placed_model, place=place)
        assert refusal.value.code == ErrorCode.PLACE_UNKNOWN
    assert not (folder / "out").exists()
