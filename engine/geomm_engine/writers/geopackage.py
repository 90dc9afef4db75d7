"""Tile footprints as a GeoPackage, appended batch by batch; memory does not grow with the number of tiles.

The file carries its style as QGIS stores one (``layer_styles``) and its provenance through the metadata extension of
the standard (OGC 12-128r18, annex F.8). GDAL writes the features; the rest is plain SQLite.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import DTypeLike, NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

from geomm_engine.writers.draft import Draft, explained
from geomm_engine.writers.provenance import STANDARD_URI, Provenance

BATCH = 20_000
VERSION = "1.3"
"""Of the GeoPackage standard: the newest that the GDAL of QGIS 3.22 reads without a warning."""

FAILURES = (DataSourceError, DataLayerError, FeatureError, FieldError, sqlite3.Error)

_STYLE_TABLE = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
"""As QGIS creates it."""

_METADATA_TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_metadata (
    id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (
    reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT, row_id_value INTEGER,
    timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), md_file_id INTEGER NOT NULL,
    md_parent_id INTEGER, CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
    CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
"""
"""As the standard prints them, tables 16 and 17."""

_METADATA_EXTENSION = "http://www.geopackage.org/spec121/#extension_metadata"


class TileWriter:
    """A polygon layer of boxes; as a context manager it publishes on success and leaves nothing on failure.

    ``fields`` names the columns and their NumPy types, ``str`` for texts. ``style_qml`` is the layer's default style.

    Raises:
        OutputError: the folder is closed, the disk is full, or the file cannot be written for another reason.
    """

    def __init__(
        self,
        path: Path,
        layer: str,
        crs_wkt: str,
        fields: Mapping[str, DTypeLike],
        provenance: Provenance,
        *,
        style_qml: str = "",
        style_name: str = "GeoMM",
    ) -> None:
        self.path = path
        self._layer = layer
        self._crs_wkt = crs_wkt
        self._types = {name: np.dtype(object) if kind is str else np.dtype(kind) for name, kind in fields.items()}
        self._provenance = provenance
        self._style_qml = style_qml
        self._style_name = style_name
        self._waiting: list[tuple[NDArray[np.float64], dict[str, NDArray[Any]]]] = []
        self._waiting_count = 0
        self._count = 0
        self._is_begun = False

    def __enter__(self) -> Self:
        self._draft = Draft.beside(self.path)
        return self

    def write(self, bounds: NDArray[np.float64], columns: Mapping[str, NDArray[Any]]) -> None:
        """Append a box for each row of ``bounds`` (n, 4): min_x, min_y, max_x, max_y in CRS units."""
        if set(columns) != set(self._types) or any(len(values) != len(bounds) for values in columns.values()):
            raise ValueError(f"{len(bounds)} values each are expected of {sorted(self._types)}")
        self._waiting.append((bounds, {name: np.asarray(columns[name], kind) for name, kind in self._types.items()}))
        self._waiting_count += len(bounds)
        self._count += len(bounds)
        if self._waiting_count >= BATCH:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._draft.discard()

    def _flush(self) -> None:
        bounds = np.concatenate([np.empty((0, 4)), *(item[0] for item in self._waiting)])
        columns = [
            np.concatenate([np.empty(0, kind), *(item[1][name] for item in self._waiting)]).astype(kind, copy=False)
            for name, kind in self._types.items()
        ]
        self._waiting, self._waiting_count = [], 0
        polygons = shapely.to_wkb(shapely.box(*bounds.T, ccw=True))
        with explained(self._draft, *FAILURES, wanted_bytes=self._wanted_bytes()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            pyogrio.raw.write(
                self._draft.path, polygons, columns, list(self._types), layer=self._layer, driver="GPKG",
                geometry_type="Polygon", crs=self._crs_wkt or None, append=self._is_begun,
                dataset_options={"VERSION": VERSION}, layer_options={"GEOMETRY_NAME": "geom", "FID": "fid"},
            )  # fmt: skip
        self._is_begun = True

    def _wanted_bytes(self) -> int:
        """Of all tiles so far: a polygon, its place in the spatial index, and the fields take about this much."""
        return self._count * (180 + 20 * len(self._types))

    def _finish(self) -> None:
        if self._waiting or not self._is_begun:
            self._flush()
        with (
            explained(self._draft, *FAILURES, wanted_bytes=self._wanted_bytes()),
            closing(sqlite3.connect(self._draft.path)) as database,
        ):
            with database:
                add_provenance(database, (self._layer,), self._provenance)
                if self._style_qml:
                    add_styles(database, {self._layer: self._style_qml}, self._provenance, name=self._style_name)
                database.execute("UPDATE gpkg_contents SET last_change = ?", (moment(self._provenance),))
            self._prove(database)
        self._draft.publish()

    def _prove(self, database: sqlite3.Connection) -> None:
        """Count what lies there: on a full disk GDAL may leave out the spatial index, or tiles, without a word."""
        verdict = database.execute("PRAGMA quick_check").fetchone()[0]
        tables = (self._layer, f"rtree_{self._layer}_geom_rowid")
        counts = [database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables]
        if verdict != "ok" or counts != [self._count, self._count]:
            raise sqlite3.IntegrityError(f"{counts} of {self._count} tiles were written, check: {verdict}")


def add_provenance(database: sqlite3.Connection, layers: Sequence[str], provenance: Provenance) -> None:
    """Say once how these layers of a GeoPackage were made, by the metadata extension."""
    for statement in filter(str.strip, _METADATA_TABLES.split(";")):
        database.execute(statement)
    row = database.execute(
        "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) VALUES ('dataset', ?, ?, ?)",
        (STANDARD_URI, "application/json", provenance.to_json()),
    )
    database.executemany(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, timestamp, md_file_id)"
        " VALUES ('table', ?, ?, ?)",
        [(layer, moment(provenance), row.lastrowid) for layer in layers],
    )
    database.executemany(
        "INSERT INTO gpkg_extensions (table_name, extension_name, definition, scope)"
        " VALUES (?, 'gpkg_metadata', ?, 'read-write')",
        [(table, _METADATA_EXTENSION) for table in ("gpkg_metadata", "gpkg_metadata_reference")],
    )
    database.executemany(
        "UPDATE gpkg_contents SET description = ? WHERE table_name = ?",
        [(provenance.sentence, layer) for layer in layers],
    )


def add_styles(
    database: sqlite3.Connection, styles: Mapping[str, str], provenance: Provenance, *, name: str = "GeoMM"
) -> None:
    """Give layers of a GeoPackage their default style (QML), in the table that QGIS looks into."""
    database.execute(_STYLE_TABLE)
    database.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,"
        " styleQML, styleSLD, useAsDefault, description, owner, update_time)"
        " VALUES ('', '', ?, 'geom', ?, ?, '', 1, ?, '', ?)",
        [(layer, name[:30], qml, provenance.sentence, moment(provenance)) for layer, qml in styles.items()],
    )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)"
        " VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)"
    )


def moment(provenance: Provenance) -> str:
    """The created time as the standard wants it: milliseconds and Z."""
    return f"{provenance.created[:19]}.000Z"
