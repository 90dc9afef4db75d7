"""Every message that crosses the line between the plugin and the engine, and the codec that checks them.

JSON-RPC 2.0 objects, UTF-8, one a line, over the engine's stdin and stdout. This file is the only code that both sides
share: standard library only, Python 3.9 syntax, no work at import. It knows the shapes of messages, not what they do.

A job (``JOBS``) may send any number of ``$/progress`` and ``$/partial`` notifications before its one response. Paths are
absolute. Areas are WKT in the CRS named beside them. Errors carry a code and facts; the plugin words them for people.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple, Type, TypeVar, Union

PROTOCOL = 1

T = TypeVar("T")
Fact = Union[str, int, float, bool]
Facts = Dict[str, Fact]


class ErrorCode(str, enum.Enum):
    """What can go wrong, by name. The code is stable; the wording is not."""

    # the request
    MESSAGE_INVALID = "message_invalid"
    METHOD_UNKNOWN = "method_unknown"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    # words
    CLASS_LIST_EMPTY = "class_list_empty"
    CLASS_LIST_INVALID = "class_list_invalid"
    TEXT_EMPTY = "text_empty"
    TEXT_TOO_LONG = "text_too_long"
    # models and devices
    MODEL_UNKNOWN = "model_unknown"
    MODEL_INVALID = "model_invalid"
    DEVICE_UNAVAILABLE = "device_unavailable"
    OUT_OF_MEMORY = "out_of_memory"
    # rasters
    RASTER_MISSING = "raster_missing"
    RASTER_UNREADABLE = "raster_unreadable"
    RASTER_NO_GEOREFERENCE = "raster_no_georeference"
    RASTER_UNSUPPORTED = "raster_unsupported"
    RASTER_NOT_ON_EARTH = "raster_not_on_earth"
    RASTER_EMPTY = "raster_empty"
    RASTER_MISMATCH = "raster_mismatch"
    BANDS_MISSING = "bands_missing"
    UNIT_UNKNOWN = "unit_unknown"
    GSD_OUT_OF_RANGE = "gsd_out_of_range"
    EXTENT_TOO_SMALL = "extent_too_small"
    PLACE_UNKNOWN = "place_unknown"
    AREA_INVALID = "area_invalid"
    AREA_OUTSIDE = "area_outside"
    # the index and the outputs
    INDEX_MISSING = "index_missing"
    INDEX_INCOMPATIBLE = "index_incompatible"
    OUTPUT_NOT_WRITABLE = "output_not_writable"
    DISK_FULL = "disk_full"
    FOLDER_INVALID = "folder_invalid"
    # the process
    CANCELLED = "cancelled"
    DEPENDENCY_MISSING = "dependency_missing"
    INTERNAL = "internal"


class Level(str, enum.Enum):
    """How a check came out: may run, may run but read this, may not run."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Note:
    """One remark about a run, for a person: ``code`` names it, ``text`` is its English wording, ``facts`` fill a translation."""

    code: str
    level: Level
    text: str
    facts: Facts = field(default_factory=dict)


# --- what a request speaks of ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RasterSource:
    """One layer: a raster file, or several co-registered files stacked in this order.

    ``roles`` names each band of the stack in order ("red", "nir", "B04", "" for a band to ignore); empty means: read
    the roles from the files. ``unit`` is "" (find out, or ask), "reflectance" (0–1), "reflectance_e4" (0–10000),
    "reflectance_e4_offset" (Sentinel-2 L2A from baseline 04.00: (DN − 1000) / 10000), "display" (8-bit picture),
    "stretch" (percentiles of the layer); for radar "decibel" or "backscatter" (linear), for heights "metres", for heat
    "kelvin". ``crs`` (an authority code or WKT2) is said of files that state none, or a wrong one; "" means: as they say.
    """

    paths: Tuple[str, ...]
    roles: Tuple[str, ...] = ()
    unit: str = ""
    name: str = ""
    crs: str = ""


@dataclass(frozen=True)
class Area:
    """A polygon or multipolygon as WKT in ``crs`` (an authority code or WKT2). Empty ``wkt`` means the whole raster."""

    wkt: str = ""
    crs: str = ""


@dataclass(frozen=True)
class ClassEntry:
    """A row of the class table. ``color`` is "#rrggbb" or "" (chosen for you). A negative never appears in the map."""

    name: str
    synonyms: Tuple[str, ...] = ()
    color: str = ""
    is_negative: bool = False


# --- short requests -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InitializeParams:
    protocol: int
    client: str = ""


@dataclass(frozen=True)
class Device:
    """``id`` is what a request may ask for; ``name`` is for people; ``is_default`` marks what "auto" will try first."""

    id: str
    name: str
    is_default: bool = False


@dataclass(frozen=True)
class ModelSummary:
    """The facts of a card that the model chooser shows. GSD in metres a pixel.

    ``hops``: how many models taught one another before this one; 0 for a model that learnt from words itself.
    """

    id: str
    name: str
    version: str
    licence: str
    gsd_min_m: float
    gsd_max_m: float
    bands: Tuple[str, ...]
    dim: int
    size_mb: float
    description: str = ""
    is_builtin: bool = False
    measured: Tuple[str, ...] = ()
    hops: int = 0


@dataclass(frozen=True)
class InitializeResult:
    protocol: int
    engine_version: str
    python_version: str
    pid: int
    devices: Tuple[Device, ...]
    models: Tuple[ModelSummary, ...]


@dataclass(frozen=True)
class Empty:
    """No parameters, or nothing to say."""


@dataclass(frozen=True)
class ModelsResult:
    models: Tuple[ModelSummary, ...]


@dataclass(frozen=True)
class ModelParams:
    model: str


@dataclass(frozen=True)
class ModelCardResult:
    """The card file of a model as it lies on disk, as JSON text."""

    model: str
    card_json: str


@dataclass(frozen=True)
class PresetEntry:
    id: str
    name: str
    classes: Tuple[ClassEntry, ...]


@dataclass(frozen=True)
class PresetsResult:
    presets: Tuple[PresetEntry, ...]


@dataclass(frozen=True)
class PreflightParams:
    """``verb`` is the job that is thought of: "" for those that embed, or "locate"."""

    source: RasterSource
    model: str = ""
    area: Area = Area()
    words: Tuple[str, ...] = ()
    device: str = "auto"
    verb: str = ""


@dataclass(frozen=True)
class PreflightResult:
    """What a run would do, before it is started. ``notes`` come worst first; RED means that it would be refused."""

    level: Level
    notes: Tuple[Note, ...]
    bands: Tuple[str, ...]
    radiometry: str
    gsd_m: float
    tile_m: float
    tiles_total: int
    tiles_done: int
    estimate_s: float
    device: str
    index_dir: str


# --- jobs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EmbedParams:
    """``index_dir`` "" means the place that the engine keeps for this raster, model, tiling and radiometry.

    ``view`` is what the person is looking at: its tiles are done first.
    """

    source: RasterSource
    model: str = ""
    area: Area = Area()
    view: Area = Area()
    device: str = "auto"
    index_dir: str = ""


@dataclass(frozen=True)
class EmbedResult:
    index_dir: str
    tiles_total: int
    tiles_embedded: int
    tiles_reused: int
    tiles_empty: int
    tiles_failed: int
    elapsed_s: float
    device: str
    notes: Tuple[Note, ...] = ()


@dataclass(frozen=True)
class PlacePrior:
    """What is likely at a place before the picture is looked at, for a class map.

    ``strength`` λ: p(class | picture) · p(class | place)^λ; 0 changes nothing, 1 is Bayes' rule. ``raster_path`` is a
    raster of categories that covers the layer, ``table_path`` a CSV that says how likely each class is in each category
    ("" for a class map of GeoMM's own, whose summary.json says it). Without a raster the model's own location tower
    says how well each class fits the place, if it has one.
    """

    strength: float = 0.0
    raster_path: str = ""
    table_path: str = ""


@dataclass(frozen=True)
class ClassifyParams:
    source: RasterSource
    classes: Tuple[ClassEntry, ...]
    output_dir: str
    model: str = ""
    area: Area = Area()
    view: Area = Area()
    device: str = "auto"
    index_dir: str = ""
    has_unknown: bool = True
    is_smooth: bool = True
    is_exact_text: bool = False
    has_class_scores: bool = False
    reject_threshold: Optional[float] = None
    prior: Optional[PlacePrior] = None


@dataclass(frozen=True)
class ClassShare:
    """One legend row: ``value`` in class.tif, area on the ground, share of the classified area."""

    value: int
    name: str
    color: str
    tiles: int
    area_ha: float
    share: float


@dataclass(frozen=True)
class ClassifyResult:
    """Absolute paths of what was written; ``scores_path`` is "" unless asked for.

    ``unfamiliar_share``: the share of tiles that look like nothing the model has learned from, because their familiarity
    (band 3 of the confidence file) is below ``familiar_threshold``; 0 where the model cannot tell.
    """

    class_path: str
    confidence_path: str
    scores_path: str
    tiles_path: str
    summary_path: str
    index_dir: str
    classes: Tuple[ClassShare, ...]
    mean_confidence: float
    embed: EmbedResult
    notes: Tuple[Note, ...] = ()
    unfamiliar_share: float = 0.0
    familiar_threshold: float = -1.0


@dataclass(frozen=True)
class SearchParams:
    """Search a layer (embedded first where it is not yet), or an index alone when ``source`` is None.

    ``place`` (latitude, longitude in degrees) asks for what looks like that place, instead of ``text``, of an index in
    the space of a location model.
    """

    text: str
    output_dir: str
    source: Optional[RasterSource] = None
    not_text: str = ""
    top_k: int = 100
    model: str = ""
    area: Area = Area()
    view: Area = Area()
    device: str = "auto"
    index_dir: str = ""
    is_exact_text: bool = False
    place: Optional[Tuple[float, float]] = None


@dataclass(frozen=True)
class Hit:
    """A tile and its score. Bounds and centre in the CRS of the raster: (min_x, min_y, max_x, max_y)."""

    rank: int
    row: int
    col: int
    score: float
    cosine: float
    bounds_xyxy: Tuple[float, float, float, float]


@dataclass(frozen=True)
class SearchResult:
    """``histogram`` counts tiles in equal bins from ``score_min`` to ``score_max``; ``threshold`` is a proposed cut."""

    score_path: str
    hits_path: str
    index_dir: str
    crs: str
    hits: Tuple[Hit, ...]
    histogram: Tuple[int, ...]
    score_min: float
    score_max: float
    threshold: float
    embed: Optional[EmbedResult] = None
    notes: Tuple[Note, ...] = ()


@dataclass(frozen=True)
class LocatePriors:
    """What is known of the place before the picture is looked at: land only, inside an area, in a country.

    ``country`` is an English name or an ISO 3166-1 alpha-3 code, "" for any.
    """

    is_land_only: bool = True
    area: Area = Area()
    country: str = ""


@dataclass(frozen=True)
class LocateParams:
    """Ask where on Earth a raster may lie. ``area`` cuts the raster; ``priors`` limit the answer.

    ``gsd_m`` is the ground size of a pixel in metres where the file does not say it, or says it wrongly; 0 means: as the
    file says. ``date`` is what the imagery is said to be of (ISO 8601, "2004-07-15"), "" if nothing is said.
    """

    source: RasterSource
    output_dir: str
    model: str = ""
    area: Area = Area()
    priors: LocatePriors = LocatePriors()
    gsd_m: float = 0.0
    date: str = ""
    top_k: int = 5
    has_picture: bool = True


@dataclass(frozen=True)
class Place:
    """A place on Earth in degrees. ``probability`` is the mass within ``radius_km`` around it; ``country`` may be ""."""

    rank: int
    lat: float
    lon: float
    country: str
    probability: float
    radius_km: float


@dataclass(frozen=True)
class ClimateShare:
    """A Köppen–Geiger class ("BSk") with its name and main group ("Arid"), and how probable it is in the picture."""

    code: str
    name: str
    group: str
    probability: float
    color: str = ""


@dataclass(frozen=True)
class Season:
    """The day of the year (1 is January 1) as a circular mean; half widths of the spans that hold 50 % and 90 %."""

    day: int
    text: str
    half_span_50_days: float
    half_span_90_days: float


class Verdict(str, enum.Enum):
    """How imagery and coordinates go together."""

    AGREES = "agrees"
    POSSIBLE = "possible"
    DOUBTFUL = "doubtful"
    DISAGREES = "disagrees"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PlaceCheck:
    """The layer's own coordinates (its centre) against the imagery.

    ``level`` is the smallest credible region (0–1) that holds them, ``distance_km`` how far they are from the best point;
    ``hint`` names a simple mistake that would explain a disagreement ("north and south are swapped"), "" if none does.
    """

    lat: float
    lon: float
    distance_km: float
    level: float
    verdict: Verdict
    text: str
    hint: str = ""


@dataclass(frozen=True)
class DateCheck:
    """The date that was given against the season that was seen."""

    date: str
    difference_days: float
    level: float
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class LocateResult:
    """Absolute paths of what was written ("" for a picture not asked for), and the answer.

    ``best`` is the point with the least expected distance to the truth, ``places`` the hilltops of the probability, most
    of it first. ``radius_50_km`` and ``radius_90_km`` round the best point hold half and nine tenths of the probability.
    ``abstain`` 0–1: how surely the picture cannot be placed.
    """

    heatmap_path: str
    equal_area_path: str
    places_path: str
    picture_path: str
    world_path: str
    summary_path: str
    model: str
    best: Place
    places: Tuple[Place, ...]
    radius_50_km: float
    radius_90_km: float
    area_50_km2: float
    area_90_km2: float
    climates: Tuple[ClimateShare, ...]
    season: Season
    abstain: float
    tiles: int
    tiles_empty: int
    gsd_km: Tuple[float, ...]
    check: Optional[PlaceCheck] = None
    date_check: Optional[DateCheck] = None
    notes: Tuple[Note, ...] = ()


@dataclass(frozen=True)
class ExportParams:
    """Write every tile of an index that scores at least ``threshold`` for this query to one GeoPackage."""

    index_dir: str
    text: str
    output_path: str
    threshold: float
    not_text: str = ""
    model: str = ""
    is_exact_text: bool = False
    area: Area = Area()
    place: Optional[Tuple[float, float]] = None


@dataclass(frozen=True)
class ExportResult:
    output_path: str
    tiles: int
    notes: Tuple[Note, ...] = ()


@dataclass(frozen=True)
class TeachParams:
    """Teach a new sensor: ``target`` (any bands) and ``reference`` (what the teacher reads) show the same ground.

    ``name`` is for people; the model's id is made of it. ``bands`` says which of the target's bands the student reads, in
    words ("B05", "vv", "height"); empty: all that are named. ``steps`` is the length of the lesson. ``output_dir`` ""
    means the folder where a person's own models lie.
    """

    name: str
    target: RasterSource
    reference: RasterSource
    teacher: str = ""
    bands: Tuple[str, ...] = ()
    words: Tuple[str, ...] = ()
    steps: int = 800
    output_dir: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class BridgeLine:
    """One measured number of a taught model, on ground that was held out; ``chance`` is what guessing would give."""

    route: str
    model: str
    metric: str
    value: float
    low: float
    high: float
    chance: float
    tiles: int


@dataclass(frozen=True)
class TeachResult:
    """``agreement``: share of held-out tiles for which student and teacher choose the same word."""

    model: ModelSummary
    model_dir: str
    run_dir: str
    agreement: float
    bridge: Tuple[BridgeLine, ...]
    notes: Tuple[Note, ...] = ()


@dataclass(frozen=True)
class AnomalyParams:
    """Show what a model that rebuilds hidden patches cannot guess. ``threshold``: in deviations from the usual."""

    source: RasterSource
    output_dir: str
    model: str = ""
    area: Area = Area()
    threshold: float = 3.0


@dataclass(frozen=True)
class AnomalyResult:
    """A raster with a value for each tile's cell, and the cells from ``threshold`` on as polygons."""

    anomaly_path: str
    tiles_path: str
    tiles: int
    tiles_empty: int
    strange: int
    highest: float
    notes: Tuple[Note, ...] = ()


@dataclass(frozen=True)
class ChipsParams:
    """Cut co-registered rasters into chips of one tile matrix; the name of a source is its folder.

    ``matrix`` is "web" (WebMercatorQuad, z/x/y) or "utm" (squares of the UTM zone, from its false origin). ``zoom`` −1 means:
    the one nearest to the finest raster; ``gsd_m`` is the pixel of a "utm" chip, 0 the finest raster's. ``resampling`` is
    "" (average where chips are coarser, else bilinear) or "nearest" (class numbers). A chip is kept where every raster (or,
    unless ``is_complete``, any) has at least ``min_valid_share`` of its pixels. ``dates`` say when each source was taken.
    """

    sources: Tuple[RasterSource, ...]
    output_dir: str
    matrix: str = "web"
    zoom: int = -1
    gsd_m: float = 0.0
    tile_px: int = 256
    area: Area = Area()
    resampling: str = ""
    min_valid_share: float = 0.5
    is_complete: bool = True
    dates: Tuple[str, ...] = ()


@dataclass(frozen=True)
class ChipsResult:
    """``chips`` counts places, ``files`` GeoTIFFs (``reused`` of them found done); ``empty`` places had too little data.

    ``index_path``: a GeoPackage with a row for each file. True ground pixels in metres, finest and coarsest.
    """

    index_path: str
    chips: int
    files: int
    reused: int
    empty: int
    zoom: int
    gsd_min_m: float
    gsd_max_m: float
    notes: Tuple[Note, ...] = ()


# --- notifications --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProgressNote:
    """``stage`` is a key ("embed", "score", "write", …); ``rate`` in units a second; ``eta_s`` < 0 where unknown."""

    id: int
    stage: str
    done: int
    total: int
    rate: float = 0.0
    eta_s: float = -1.0


@dataclass(frozen=True)
class PartialNote:
    """A first result for what the person is looking at; the file is replaced by the job's own result."""

    id: int
    kind: str
    path: str


@dataclass(frozen=True)
class CancelParams:
    id: int


CANCEL = "$/cancelRequest"
PROGRESS = "$/progress"
PARTIAL = "$/partial"

REQUESTS: Dict[str, Tuple[Type[Any], Type[Any]]] = {
    "initialize": (InitializeParams, InitializeResult),
    "models/list": (Empty, ModelsResult),
    "models/show": (ModelParams, ModelCardResult),
    "presets/list": (Empty, PresetsResult),
    "preflight": (PreflightParams, PreflightResult),
    "shutdown": (Empty, Empty),
}
JOBS: Dict[str, Tuple[Type[Any], Type[Any]]] = {
    "embed": (EmbedParams, EmbedResult),
    "classify": (ClassifyParams, ClassifyResult),
    "search": (SearchParams, SearchResult),
    "export": (ExportParams, ExportResult),
    "teach": (TeachParams, TeachResult),
    "locate": (LocateParams, LocateResult),
    "chips": (ChipsParams, ChipsResult),
    "anomaly": (AnomalyParams, AnomalyResult),
}
METHODS: Dict[str, Tuple[Type[Any], Type[Any]]] = {**REQUESTS, **JOBS}


# --- the codec ------------------------------------------------------------------------------------------------------


class ContractError(ValueError):
    """A message does not have the shape that this file gives it. ``where`` is the path of the field, dotted."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


def encode(value: Any) -> Any:
    """A message as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


@functools.lru_cache(maxsize=None)
def _hints(shape: Type[Any]) -> Dict[str, Any]:
    return typing.get_type_hints(shape)


def decode(shape: Type[T], value: Any, where: str = "params") -> T:
    """Plain JSON values as a message of this shape.

    Raises:
        ContractError: a field is missing, unknown, or of the wrong type.
    """
    return typing.cast(T, _decode(shape, value, where))


_UNIONS = (Union, getattr(types, "UnionType", Union))
"""``Optional[X]`` and, where Python knows it, ``X | None``."""


def _decode(shape: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(shape)
    if origin in _UNIONS:
        return _decode_union(typing.get_args(shape), value, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(shape), value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise ContractError(where, "an object is expected")
        item_shape = typing.get_args(shape)[1]
        return {str(key): _decode(item_shape, item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(shape):
        return _decode_dataclass(typing.cast(Any, shape), value, where)
    if isinstance(shape, type) and issubclass(shape, enum.Enum):
        try:
            return shape(value)
        except ValueError:
            raise ContractError(where, f"{value!r} is not one of {[item.value for item in shape]}") from None
    return _decode_scalar(shape, value, where)


def _decode_scalar(shape: Any, value: Any, where: str) -> Any:
    if shape is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_right = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    if not is_right:
        raise ContractError(where, f"{shape.__name__} is expected, not {type(value).__name__}")
    return value


def _decode_union(shapes: Tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in shapes:
        return None
    problems = []
    for shape in sorted((item for item in shapes if item is not type(None)), key=_narrowness):
        try:
            return _decode(shape, value, where)
        except ContractError as problem:
            problems.append(problem)
    raise problems[0]


def _narrowness(shape: Any) -> int:
    """bool before int before float before str: JSON's true is no number, 1 stays an int."""
    order = [bool, int, float, str]
    return order.index(shape) if shape in order else len(order)


def _decode_tuple(shapes: Tuple[Any, ...], value: Any, where: str) -> Tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ContractError(where, "a list is expected")
    if len(shapes) == 2 and shapes[1] is Ellipsis:
        return tuple(_decode(shapes[0], item, f"{where}[{place}]") for place, item in enumerate(value))
    if len(value) != len(shapes):
        raise ContractError(where, f"{len(shapes)} values are expected, not {len(value)}")
    return tuple(_decode(shape, item, f"{where}[{place}]") for place, (shape, item) in enumerate(zip(shapes, value)))


def _decode_dataclass(shape: Type[Any], value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ContractError(where, "an object is expected")
    fields = {item.name: item for item in dataclasses.fields(shape)}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise ContractError(f"{where}.{unknown[0]}", "this field is not known")
    found = {}
    for name, item in fields.items():
        if name in value:
            found[name] = _decode(_hints(typing.cast(Any, shape))[name], value[name], f"{where}.{name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ContractError(f"{where}.{name}", "this field is missing")
    return shape(**found)


def line(message: Dict[str, Any]) -> bytes:
    """A JSON-RPC object as the one line that crosses the pipe; a lone surrogate (a file name that is no UTF-8) is escaped."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def request(id_: int, method: str, params: Any) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": encode(params)}


def notification(method: str, params: Any) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": encode(params)}


def response(id_: int, result: Any) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "result": encode(result)}


def error_response(
    id_: Optional[int], code: ErrorCode, text: str, cure: str = "", facts: Optional[Facts] = None
) -> Dict[str, Any]:
    """``text`` is the cause and ``cure`` what to do, in English; ``facts`` fill a translation."""
    data = {"code": code.value, "cure": cure, "facts": facts or {}}
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": -32000, "message": text, "data": data}}
