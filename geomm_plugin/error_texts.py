"""Failures and notes in words for people. Knows every code; falls back to the engine's English text and cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

from .client import contract
from .client.failure import Failure
from .translation import Translated


@dataclass(frozen=True)
class Message:
    """What the dock shows: the cause, what to do, and details for who asks."""

    cause: str
    cure: str = ""
    details: str = ""

    @property
    def text(self) -> str:
        return f"{self.cause} {self.cure}".strip()


class ErrorTexts(Translated):
    """One sentence for the cause and one for the cure, by code.

    The engine's own English text names the file, band or number at fault, so it is preferred where it speaks the
    person's language (``is_english``).
    """

    def __init__(self, *, is_english: bool = True) -> None:
        self._is_english = is_english

    def failure(self, failure: Failure, method: str = "") -> Message:
        """``method`` is the job that failed, where it matters: a lesson keeps nothing of what was done."""
        cause, cure = self._known().get(failure.code, ("", ""))
        if failure.text and (self._is_english or not cause):
            cause = failure.text
        if failure.cure and (self._is_english or not cure):
            cure = failure.cure
        if failure.is_at_start and failure.code != contract.ErrorCode.INTERNAL.value:
            cure = self._another_engine()
        elif method == "teach":
            cure = self._of_lessons().get(failure.code, cure)
        facts = _Facts(failure.facts)
        cause = cause if cause == failure.text else cause.format_map(facts)
        return Message(cause or failure.code, cure, failure.details)

    def note(self, note: contract.Note) -> str:
        """A preflight remark; the engine words it."""
        return note.text or self._known().get(note.code, (note.code, ""))[0]

    def _known(self) -> Dict[str, Tuple[str, str]]:
        return {**self._of_the_process(), **self._of_words_and_models(), **self._of_rasters(), **self._of_outputs()}

    def _of_the_process(self) -> Dict[str, Tuple[str, str]]:
        return {
            "engine_absent": (
                self.tr("The GeoMM engine is not installed."),
                self.tr("Open the GeoMM dock to set it up, or choose its place in Settings ▸ Options ▸ GeoMM."),
            ),
            "engine_not_started": (
                self.tr("The GeoMM engine could not be started."),
                self._another_engine(),
            ),
            "engine_stopped": (
                self.tr("The GeoMM engine stopped unexpectedly (exit code {exit_code})."),
                self.tr("QGIS and your data are safe. Run again: it goes on where it stopped."),
            ),
            "engine_silent": (
                self.tr("The GeoMM engine started but does not answer."),
                self.tr("Check in Settings ▸ Options ▸ GeoMM that the chosen program is the GeoMM engine."),
            ),
            "engine_garbled": (
                self.tr("The GeoMM engine gave an answer that cannot be understood."),
                self.tr("Check in Settings ▸ Options ▸ GeoMM that the engine has the plugin's version."),
            ),
            "engine_keeps_stopping": (
                self.tr("The GeoMM engine stopped several times in a row and was not started again."),
                self.tr("Press Restart to try once more. “Details” says what the engine wrote last."),
            ),
            "protocol_mismatch": (
                self.tr("The engine (protocol {engine}) and the plugin (protocol {plugin}) do not fit together."),
                self._another_engine(),
            ),
            "message_invalid": (
                self.tr("The engine did not understand the request."),
                self.tr("Update plugin and engine."),
            ),
            "method_unknown": (self.tr("The engine cannot do this yet."), self.tr("Update the engine.")),
            "cancelled": (self.tr("Cancelled."), self.tr("Run again to go on where it stopped.")),
            "dependency_missing": (self.tr("A part of the engine is missing."), self.tr("Install the engine again.")),
            "internal": (
                self.tr("The engine failed in a way it should not."),
                self.tr("Please report it with what “Details” shows, or the log panel under “GeoMM”."),
            ),
        }

    def _another_engine(self) -> str:
        return self.tr("Set it up again in the GeoMM dock, or choose another engine in Settings ▸ Options ▸ GeoMM.")

    def _of_lessons(self) -> Dict[str, str]:
        """Cures that take the place of the usual ones, the engine's own words included."""
        again = self.tr("A lesson cannot be continued: the next one begins at its first step.")
        return {"cancelled": again, "engine_stopped": self.tr("QGIS and your data are safe.") + " " + again}

    def _of_words_and_models(self) -> Dict[str, Tuple[str, str]]:
        return {
            "class_list_empty": (self.tr("There are no classes."), self.tr("Type at least two class names.")),
            "class_list_invalid": (
                self.tr("The class list cannot be used."),
                self.tr("Give every class one name of its own."),
            ),
            "text_empty": (
                self.tr("There is nothing to search for."),
                self.tr("Type what you look for, such as “solar farm”."),
            ),
            "text_too_long": (self.tr("The text is too long for the model."), self.tr("Use fewer words.")),
            "model_unknown": (self.tr("This model is not installed."), self.tr("Choose another model.")),
            "model_invalid": (
                self.tr("The model's files are damaged or incomplete."),
                self.tr("Install the model again."),
            ),
            "device_unavailable": (
                self.tr("The chosen device is not available."),
                self.tr("Choose “automatic” in the options."),
            ),
            "out_of_memory": (
                self.tr("There is not enough memory."),
                self.tr("Close other programs or choose a smaller area."),
            ),
        }

    def _of_rasters(self) -> Dict[str, Tuple[str, str]]:
        return {
            "raster_missing": (self.tr("The image file is gone."), self.tr("Repair the layer's data source.")),
            "raster_unreadable": (
                self.tr("The image cannot be read."),
                self.tr("Save it as a GeoTIFF (Export ▸ Save As)."),
            ),
            "raster_no_georeference": (self.tr("The image has no place on Earth."), self.tr("Georeference it first.")),
            "raster_unsupported": (
                self.tr("This kind of image is not supported."),
                self.tr("Save it as a plain GeoTIFF."),
            ),
            "raster_not_on_earth": (
                self.tr("The image's coordinates are not on Earth."),
                self.tr("Correct its coordinate system."),
            ),
            "raster_empty": (self.tr("There is nothing but nodata here."), self.tr("Choose another area.")),
            "raster_mismatch": (
                self.tr("The band files do not fit on each other."),
                self.tr("Choose files of one scene."),
            ),
            "bands_missing": (self.tr("The model needs bands that were not found."), self.tr("Name the bands below.")),
            "unit_unknown": (self.tr("What the pixel values mean is not known."), self.tr("Say it below.")),
            "extent_too_small": (
                self.tr("The image shows too little of the Earth to be placed."),
                self.tr("Choose an image that shows more of the ground."),
            ),
            "place_unknown": (self.tr("No place is left."), self.tr("Choose another country or polygon.")),
            "gsd_out_of_range": (
                self.tr("The pixels are too coarse or too fine for the model."),
                self.tr("Choose another model."),
            ),
            "area_invalid": (self.tr("The area is not a valid polygon."), self.tr("Draw it again.")),
            "area_outside": (self.tr("The area lies outside the image."), self.tr("Choose an area on the image.")),
        }

    def _of_outputs(self) -> Dict[str, Tuple[str, str]]:
        return {
            "index_missing": (self.tr("The stored embeddings are gone."), self.tr("Run the search again.")),
            "index_incompatible": (self.tr("The stored embeddings belong to another model."), self.tr("Run again.")),
            "index_busy": (self.tr("Another run is working on this image."), self.tr("Wait for it, then run again.")),
            "output_not_writable": (self.tr("The result cannot be written there."), self.tr("Choose another folder.")),
            "disk_full": (self.tr("The disk is full."), self.tr("Free some space and run again.")),
            "folder_invalid": (self.tr("This folder cannot be used."), self.tr("Choose another folder.")),
        }


class _Facts(Dict[str, object]):
    """Facts for ``format_map``: one that is missing shows as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"
