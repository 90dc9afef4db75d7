"""How a result was made, in the words that every output file carries. Writes no file itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from geomm_engine.contract import Fact

SOFTWARE = "GeoMM"
TAG = "GEOMM_PROVENANCE"
STANDARD_URI = "urn:geomm:provenance:1"


@dataclass(frozen=True)
class ModelMark:
    """Which model: ``card_sha256`` is the digest of its card, which in turn names the digests of its files."""

    id: str
    version: str
    card_sha256: str


@dataclass(frozen=True)
class Provenance:
    """Everything that is needed to make the same file again.

    Attributes:
        created: ISO 8601 in UTC ("2026-11-20T20:48:00Z"); the only part that differs between two equal runs.
        prompts: for each class or query, the texts that were encoded.
        radiometry: how digital numbers became what the model sees, in one sentence.
        parameters: every setting that changes the result.
    """

    software: str
    version: str
    created: str
    source_name: str
    source_paths: tuple[str, ...]
    radiometry: str = ""
    model: ModelMark | None = None
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Fact] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def sentence(self) -> str:
        """One line for people, as image description."""
        by = f" with {self.model.id} {self.model.version}" if self.model else ""
        return f"Made from {self.source_name}{by} by {self.software} {self.version}"

    @property
    def tiff_tags(self) -> dict[str, str]:
        """Dataset tags of a GeoTIFF; the time as TIFF wants it (YYYY:MM:DD HH:MM:SS)."""
        return {
            TAG: self.to_json(),
            "TIFFTAG_SOFTWARE": f"{self.software} {self.version}",
            "TIFFTAG_IMAGEDESCRIPTION": self.sentence,
            "TIFFTAG_DATETIME": self.created[:19].replace("-", ":").replace("T", " "),
        }
