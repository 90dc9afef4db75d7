"""Other people's location models as model folders: their files are checked, converted once and given a card."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.card import (
    Architecture,
    Calibration,
    Card,
    CardBand,
    CardFile,
    CardLocation,
    CardRadiometry,
    CardScoring,
    CardText,
    Licence,
    ModelFolder,
    Scale,
    Training,
    file_sha256,
    read_card,
    write_card,
)
from geomm_engine.encoders.location import conversion, layout
from geomm_engine.encoders.location.conversion import Converted
from geomm_engine.encoders.location.published import PUBLISHED
from geomm_engine.encoders.location.tower import LOCATION_ROLE, LocationTower, PlaceBackground, place_encoder
from geomm_engine.encoders.registry import user_models_folder
from geomm_engine.encoders.tensor_file import write_tensors
from geomm_engine.errors import ModelError, writing
from geomm_engine.geography.gallery import land_vectors
from geomm_engine.sensors import ROLE_NM, SENTINEL2_NM

PLACES_FILE, PICTURES_FILE = "location.safetensors", "weights.safetensors"
_BACKGROUND_PLACES = 2000
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_BRIGHT = 1 / 0.3
_SATCLIP_TEXT = (
    "Sentinel-2 pictures and places in one space (research model; its authors did not evaluate it for finding places). "
    "Twelve bands as reflectance 0–1, 10 m; B10 is always zero, as in its training. Some of its training data may "
    "have carried Sentinel-2’s offset of 0.1. Knows no words."
)
_GEOCLIP_TEXT = (
    "Photographs taken on the ground and places in one space. Its map is cut at 180°, so a place just across the date "
    "line is far in its space. Not made for pictures from above. Knows no words here."
)


def add_model(path: Path, clip: Path | None = None) -> ModelFolder:
    """Add SatCLIP from its checkpoint, or GeoCLIP from the folder of its files, to a person's own models.

    ``clip``: CLIP ViT-L/14 as safetensors, without which GeoCLIP knows places but cannot look at pictures.

    Raises:
        ModelError: the files are none of these models', or lack something; nothing of them is run.
        OutputError: the models folder cannot be written.
    """
    converted = _converted(path, clip)
    name = f"{converted.tower}-l{converted.degrees}" if converted.degrees else "geoclip"
    target = user_models_folder() / name
    draft = target.with_name(f".{name}.{os.getpid()}.part")
    with writing(target):
        draft.mkdir(parents=True, exist_ok=True)
        try:
            write_card(_card(name, converted, _write_files(converted, draft)), draft)
            read_card(draft)
            if target.exists():
                shutil.rmtree(target)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return read_card(target)


def _converted(path: Path, clip: Path | None) -> Converted:
    if path.is_dir() and (path / conversion.GEOCLIP_PLACES).is_file():
        return conversion.convert_geoclip(path, clip)
    if path.name in (conversion.GEOCLIP_PLACES, conversion.GEOCLIP_SCALE, conversion.GEOCLIP_MLP) and path.is_file():
        return conversion.convert_geoclip(path.parent, clip)
    checkpoints = sorted(path.glob("*.ckpt")) if path.is_dir() else [path]
    if len(checkpoints) == 1 and checkpoints[0].is_file():
        return conversion.convert_satclip(checkpoints[0])
    raise ModelError(
        ErrorCode.MODEL_INVALID,
        f"{path} is neither a checkpoint of SatCLIP nor a folder with GeoCLIP’s files."
        if path.exists()
        else f"{path} does not exist.",
        "“geomm models add” without a file lists what can be added, and where its authors publish it.",
        path=str(path),
    )


def _write_files(converted: Converted, folder: Path) -> tuple[CardFile, ...]:
    tower = LocationTower(place_encoder(converted.encoder, converted.places), _dim(converted))
    background = PlaceBackground.of(land_vectors(tower, _BACKGROUND_PLACES))
    write_tensors(folder / PLACES_FILE, converted.places | background.tensors())
    roles = {LOCATION_ROLE: PLACES_FILE}
    if converted.pictures is not None:
        write_tensors(folder / PICTURES_FILE, converted.pictures)
        roles["weights"] = PICTURES_FILE
    return tuple(
        CardFile(role, name, file_sha256(folder / name), (folder / name).stat().st_size) for role, name in roles.items()
    )


def _dim(converted: Converted) -> int:
    last = "last_layer.bias" if converted.degrees else "LocEnc0.head.0.bias"
    return len(converted.places[last])


def _card(name: str, converted: Converted, files: tuple[CardFile, ...]) -> Card:
    is_satclip = converted.degrees > 0
    known = next((item for item in PUBLISHED if item.id == name), None)
    dim = _dim(converted)
    background = 1.0 / dim**0.5
    return Card(
        id=name,
        name=known.name if known else name,
        version="2023",
        space_id=f"{name}-{next(item.sha256 for item in files if item.role == LOCATION_ROLE)[:12]}",
        description=_description(is_satclip, converted),
        licence=known.licence if known else Licence("as its authors say", ""),
        files=files,
        architecture=Architecture(converted.tower, json.dumps({})),
        bands=_satclip_bands()
        if is_satclip
        else tuple(CardBand(role, ROLE_NM[role]) for role in ("red", "green", "blue")),
        radiometry=_satclip_radiometry() if is_satclip else _geoclip_radiometry(),
        scales=(Scale(10.0, 10.0, layout.INPUT_PX[converted.tower]),) if is_satclip else (Scale(0.001, 1e4, 224),),
        has_gsd_input=False,
        dim=dim,
        text=CardText(0, ("{}",)),
        scoring=CardScoring(converted.logit_scale, 0.0, (0.0,) * dim, -1.0, 0.0, background),
        training=Training(
            ("S2-100K: 100,000 Sentinel-2 patches",) if is_satclip else ("MediaEval 2016: 4.7 million photographs",),
            "by its authors: Klemmer et al. 2025" if is_satclip else "by its authors: Vivanco Cepeda et al. 2023",
            0,
        ),
        measured=(),
        location=CardLocation(
            converted.encoder, converted.logit_scale, 1.0, converted.pictures is not None, converted.origin
        ),
    )


def _description(is_satclip: bool, converted: Converted) -> str:
    text = _SATCLIP_TEXT if is_satclip else _GEOCLIP_TEXT
    if converted.pictures is None:
        return f"{text} Added without its image tower: it knows places, but cannot look at pictures."
    return f"{text} Its image tower needs torch."


def _satclip_bands() -> tuple[CardBand, ...]:
    return tuple(CardBand(role, nanometres) for role, nanometres in SENTINEL2_NM.items() if role != "B10")


def _satclip_radiometry() -> CardRadiometry:
    same = (1.0,) * 12, (0.0,) * 12
    units = ("surface_reflectance", "toa_reflectance")
    return CardRadiometry((0.0,) * 12, (1.0,) * 12, tuple(Calibration(unit, *same) for unit in units), False)


def _geoclip_radiometry() -> CardRadiometry:
    bright = (_BRIGHT,) * 3, (0.0,) * 3
    units = ("surface_reflectance", "toa_reflectance")
    return CardRadiometry(_CLIP_MEAN, _CLIP_STD, tuple(Calibration(unit, *bright) for unit in units))
