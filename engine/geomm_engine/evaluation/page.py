"""The report as one HTML page that needs nothing else: styles inline, pictures inside. Knows numbers and words only."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from geomm_engine.evaluation import charts
from geomm_engine.evaluation.lights import LightsReport
from geomm_engine.evaluation.probe import ProbeReport
from geomm_engine.evaluation.retrieval import Direction, RetrievalReport, Share
from geomm_engine.evaluation.scales import ScalesReport
from geomm_engine.evaluation.study import Evaluation, EvaluationReport, SetReport, Sheet
from geomm_engine.evaluation.zero_shot import ZeroShotReport

Interval = tuple[float, float]

_SIDE_BY_SIDE = 12
"""Classes beyond which a confusion matrix takes the whole width."""

_SOURCES = {
    "given": "as given",
    "georeference": "as the files say",
    "guessed": "not given; the pixel at which the model is surest of its answers, found without labels",
}


def page(evaluation: Evaluation) -> str:
    """The whole page."""
    report = evaluation.report
    title = f"How good is {report.model_name} {report.model_version}?"
    parts = [_summary(report)]
    parts += [_set(item, sheet) for item, sheet in zip(report.sets, evaluation.sheets, strict=True)]
    parts += [_notes(report), _provenance(report)]
    style = files("geomm_engine.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>\n{style}</style></head>\n<body><main><h1>{_text(title)}</h1>\n"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _span(interval: Interval) -> str:
    return f'<span class="pale">{100 * interval[0]:.1f}–{100 * interval[1]:.1f}</span>'


def _with_span(value: float, interval: Interval) -> str:
    return f"{_percent(value)} {_span(interval)}"


def _bar(value: float, kind: str = "") -> str:
    return f'<div class="bar {kind}"><i style="width:{100 * min(max(value, 0), 1):.1f}%"></i></div>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[int] = ()) -> str:
    """Cells are HTML; the first column stands left; a lone cell fills its row; ``marked`` rows are the model's own."""
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    lines = []
    for at, row in enumerate(rows):
        kind = " class=own" if at in marked else ""
        span = f' colspan="{len(header)}"' if len(row) == 1 else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td{span}>{cell}</td>" for cell in row) + "</tr>")
    body = "\n".join(lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _picture(data: bytes, words: str, kind: str = "png", width: str = "") -> str:
    size = f' style="width:{width}"' if width else ""
    return f'<img alt="{_text(words)}"{size} src="data:image/{kind};base64,{base64.b64encode(data).decode("ascii")}">'


def _summary(report: EvaluationReport) -> str:
    rows = []
    for item in report.sets:
        zero, knn, found = item.zero_shot, item.knn, item.retrieval
        cheap = max((base for base in zero.baselines), key=lambda base: base.top1) if zero else None
        rows.append(
            [
                f"<b>{_text(item.name)}</b>",
                f"{item.pictures:,}",
                f"{len(item.classes)}",
                f"<b>{_percent(zero.top1)}</b> {_span(zero.top1_interval_95)}" if zero else "–",
                _percent(zero.macro_f1) if zero else "–",
                f"{zero.calibration.error:.3f}" if zero else "–",
                f"{zero.unknown.auroc:.3f}" if zero and zero.unknown else "–",
                _percent(found.text_to_picture.precision_20.value) if found else "–",
                _percent(knn.rows[3].top1) if knn else "–",
                f"{_percent(cheap.top1)}" if cheap else "–",
            ]
        )
    header = (
        "set", "pictures", "classes", "typed names, top-1", "macro F1", "calibration error", "unknown AUROC",
        "right in first 20", "linear probe", "best baseline",
    )  # fmt: skip
    return f'<p class="lead">Measured {_text(report.created[:10])} on {_text(report.device)}.</p>' + _table(
        header, rows
    )


def _set(item: SetReport, sheet: Sheet) -> str:
    chosen = {"all": "all pictures", "validation": "the validation split of the built-in recipes (15 %, stratified)"}
    which = chosen.get(item.split, "the training split of the built-in recipes")
    if item.limit:
        which += f", at most {item.limit:,} a class"
    parts = [
        f"<section><h2>{_text(item.name)}</h2>",
        f'<p class="lead">{item.pictures:,} pictures of {len(item.classes)} classes: {which}. Ground pixel '
        f"{item.gsd_m:.3g} m ({_SOURCES[item.gsd_source]}).</p>",
    ]
    if item.unreadable:
        names = ", ".join(_text(name) for name in item.unreadable[:5])
        parts.append(
            f'<p class="note">{len(item.unreadable):,} files could not be read and were left out: {names}.</p>'
        )
    parts += [f'<p class="note">{_text(note)}</p>' for note in item.notes]
    if item.zero_shot:
        parts.append(_zero_shot(item.zero_shot, item.classes, sheet.thumbnails))
    if item.retrieval:
        parts.append(_retrieval(item.retrieval))
    if item.knn:
        parts.append(_probe(item.knn))
    if item.scales:
        parts.append(_scales(item.scales))
    if item.lights:
        parts.append(_lights(item.lights))
    return "\n".join(parts) + "</section>"


def _zero_shot(zero: ZeroShotReport, classes: Sequence[str], thumbnails: Mapping[str, NDArray[np.uint8]]) -> str:
    own = [
        "<b>class names, typed</b>", "no", _bar(zero.top1), _with_span(zero.top1, zero.top1_interval_95),
        _with_span(zero.macro_f1, zero.macro_f1_interval_95),
    ]  # fmt: skip
    others = [
        [
            _text(base.name),
            "yes" if base.learns else "no",
            _bar(base.top1, "other"),
            _with_span(base.top1, base.top1_interval_95) if base.name != "chance" else _percent(base.top1),
            _percent(base.macro_f1),
        ]
        for base in zero.baselines
    ]
    names = [item.prompts[0] for item in zero.by_class]
    parts = [
        "<h3>Class names typed as text</h3>",
        _table(("", "sees labels", "", "top-1", "macro F1"), [own, *others], marked=(0,)),
        _plots(zero, names),
        _by_class(zero),
        _unknown(zero),
        _worst(zero, thumbnails),
    ]
    return "\n".join(parts)


def _plots(zero: ZeroShotReport, names: Sequence[str]) -> str:
    """Both plots side by side, or one below the other where many classes need the width."""
    found = zero.calibration
    low, high = found.error_interval_95
    matrix = (
        _picture(charts.confusion_png(zero.confusion, names), "confusion matrix")
        + "<figcaption>Percent of each true class. Right answers lie on the diagonal.</figcaption></figure>"
    )
    plot = (
        _picture(charts.reliability_png(found), "reliability plot")
        + f"<figcaption>Calibration error {found.error:.3f} ({low:.3f}–{high:.3f}, 15 bins) at the card's inverse "
        f"temperature {found.logit_scale:.3g}. Fitted to these very pictures it would be {found.best_scale:.3g} and leave "
        f"{found.error_at_best_scale:.3f}.</figcaption></figure>"
    )
    if len(names) > _SIDE_BY_SIDE:
        return f'<figure class="wide">{matrix}<figure class="beside">{plot}'
    return f'<div class="pair"><figure>{matrix}<figure>{plot}</div>'


def _by_class(zero: ZeroShotReport) -> str:
    left_out = {item.name: item.auroc for item in zero.unknown.left_out} if zero.unknown else {}
    rows = [
        [
            f'{_text(item.prompts[0])} <span class="pale">{_text(", ".join(item.prompts[1:]))}</span>',
            f"{item.images:,}",
            _bar(item.recall),
            _with_span(item.recall, item.recall_interval_95),
            _with_span(item.precision, item.precision_interval_95),
            _with_span(item.f1, item.f1_interval_95),
            f"{left_out[item.prompts[0]]:.3f}" if item.prompts[0] in left_out else "–",
        ]
        for item in zero.by_class
    ]
    header = ("class", "pictures", "", "recall", "precision", "F1", "AUROC when not asked for")
    return "<h3>By class</h3>" + _table(header, rows)


def _unknown(zero: ZeroShotReport) -> str:
    found = zero.unknown
    if found is None:
        return ""
    low, high = found.draws_95
    return (
        "<h3>Pictures of classes that nobody asked for</h3>"
        f"<p>AUROC of the reject score <b>{found.auroc:.3f}</b> ({low:.3f}–{high:.3f} over the draws); of the largest "
        f"probability alone {found.auroc_max_probability:.3f}. At the card's threshold {found.threshold:g}, "
        f"{_percent(found.kept)} of the prompted pictures are kept and {_percent(found.rejected)} of the others rejected. "
        f"{_text(found.protocol)}.</p>"
    )


def _worst(zero: ZeroShotReport, thumbnails: Mapping[str, NDArray[np.uint8]]) -> str:
    if not zero.worst:
        return ""
    typed = {item.name: item.prompts[0] for item in zero.by_class}
    tiles = [
        f'<figure title="{_text(item.path)}">{_thumbnail(thumbnails[item.path], item.path)}'
        f"<figcaption><b>{_text(typed[item.truth])}</b><br>said {_text(typed[item.said])}, "
        f"{100 * item.confidence:.0f}&nbsp;%</figcaption></figure>"
        for item in zero.worst
        if item.path in thumbnails
    ]
    return (
        "<h3>Wrong, and sure of it</h3><p class=pale>The most confident mistakes, at most three of a kind.</p>"
        f'<div class="tiles">{"".join(tiles)}</div>'
    )


def _thumbnail(pixels: NDArray[np.uint8], words: str) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=88)
    return _picture(stream.getvalue(), words, "jpeg")


def _retrieval(found: RetrievalReport) -> str:
    rows = [_direction(found.text_to_picture), _direction(found.picture_to_text)]
    for item in found.captions:
        rows += [
            [f'<span class="pale">{_text(item.protocol)}: mR {_percent(item.mean_recall)} '
             f'(random order {_percent(item.mean_recall_chance)})</span>'],
            _direction(item.text_to_picture), _direction(item.picture_to_text),
        ]  # fmt: skip
    header = ("search", "queries", "among", "R@1", "R@5", "R@10", "mAP@20", "mAP@100", "right in first 20")
    parts = ["<h3>Search</h3>", _table(header, rows)]
    parts.append(
        '<p class="pale">Small: what a random order gives. Equal scores count by expectation. “Right in first 20” looks at '
        "as many as there are right ones, where these are fewer.</p>"
    )
    if found.captions_too_long:
        parts.append(
            f'<p class="note">{found.captions_too_long:,} captions are longer than the model reads; left out.</p>'
        )
    by_class = [
        [
            _text(row.words), f"{row.pictures:,}", _bar(row.precision_20), _percent(row.precision_20), _percent(row.ap_20),
            _percent(row.ap_100), _percent(row.chance),
        ]
        for row in found.by_class
    ]  # fmt: skip
    columns = ("class name as a search", "pictures", "", "right in first 20", "AP@20", "AP@100", "share of all")
    parts.append(_table(columns, by_class))
    if found.wordings:
        parts.append("<h3>Other wordings</h3>")
        words = [
            [
                _text(row.wording), _text(row.name), _bar(row.precision_20), _percent(row.precision_20),
                _percent(row.precision_20_of_name), _percent(row.chance),
            ]
            for row in found.wordings
        ]  # fmt: skip
        asked = ("wording", "class", "", "right in first 20", "with the class's name", "share of all")
        parts.append(_table(asked, words))
    return "\n".join(parts)


def _direction(item: Direction) -> list[str]:
    shares = [*item.recall, item.map_20, item.map_100, item.precision_20]
    if item.candidates <= 100:  # a list that short has no first hundred
        return [_text(item.name), f"{item.queries:,}", f"{item.candidates:,}", *map(_share, shares[:3]), "–", "–", "–"]
    return [_text(item.name), f"{item.queries:,}", f"{item.candidates:,}", *map(_share, shares)]


def _share(item: Share) -> str:
    return f'{_percent(item.value)} <span class="pale">{100 * item.chance:.1f}</span>'


def _probe(report: ProbeReport) -> str:
    methods = list(dict.fromkeys(row.method for row in report.rows))
    features = list(dict.fromkeys(row.features for row in report.rows))
    rows = []
    for name in features:
        cells = [report.row(name, method) for method in methods]
        rows.append([_text(name), *(_with_span(cell.top1, cell.top1_interval_95) for cell in cells)])
    return (
        "<h3>What labels make of the vectors</h3>"
        + _table(("features", *(f"{method}, top-1" for method in methods)), rows, marked=(0,))
        + f'<p class="pale">{_text(report.protocol)}. Neighbours by cosine; linear probe: logistic regression.</p>'
    )


def _scales(scales: ScalesReport) -> str:
    rows = [
        [
            f"{row.gsd_m:.3g} m", f"{row.fed_px} px at {row.told_m:.3g} m", _with_span(row.top1, row.top1_interval_95),
            f"{row.other_cosine:.3f}",
        ]
        for row in scales.rows
    ]  # fmt: skip
    pairs = [
        [
            f"{pair.finer_m:.3g} → {pair.coarser_m:.3g} m",
            f"{pair.cosine:.3f} <span class=pale>5 % below {pair.cosine_p5:.3f}</span>",
            _with_span(pair.agreement, pair.agreement_interval_95),
            _percent(pair.place_found),
        ]
        for pair in scales.pairs
    ]
    return (
        "<h3>Across resolutions</h3>"
        f'<p class="pale">{scales.places:,} places, averaged down to coarser pixels.</p>'
        + (f'<figure class="wide">{_picture(charts.scales_png(scales), "scales")}</figure>' if scales.pairs else "")
        + _table(("ground pixel", "given to the model", "typed names, top-1", "cosine of other places"), rows)
        + _table(("the same place", "mean cosine", "same class", "own place is nearest"), pairs)
    )


def _lights(lights: LightsReport) -> str:
    rows = [
        [
            _text(row.name), _bar(row.top1), _with_span(row.top1, row.top1_interval_95),
            _with_span(row.agreement, row.agreement_interval_95), f"{row.cosine:.3f}",
        ]
        for row in lights.rows
    ]  # fmt: skip
    return (
        "<h3>In other light</h3>"
        f'<p class="pale">{lights.pictures:,} pictures, changed as another day, season or camera would change them.</p>'
        + _table(("light", "", "typed names, top-1", "same class", "mean cosine"), rows, marked=(0,))
    )


def _notes(report: EvaluationReport) -> str:
    trained = "; ".join(report.trained_on) or "nothing that the card names"
    notes = (
        f"The model was trained on: {trained}. A set that is named here is no foreign ground: use the validation split, and "
        "read its numbers as those of a familiar sensor and familiar classes.",
        "Class names are the folders' names as a person would type them, under the card's templates. No class list was "
        "tuned on these pictures unless one was given.",
        "Small grey numbers are 95 % intervals: Wilson's for shares of pictures, bootstrap of pictures for F1, of "
        "queries for search. They do not cover another choice of classes or places.",
        "Baselines that see labels were trained on other folds of this very set, which typed names never are: a model "
        "that does not beat the mean and deviation of three bands has learned nothing worth its size.",
        "Chance and random order are exact expectations.",
    )
    return (
        "<section><h2>How to read this</h2><ul>"
        + "".join(f"<li>{_text(note)}</li>" for note in notes)
        + "</ul></section>"
    )


def _provenance(report: EvaluationReport) -> str:
    rows = [
        ["model", f"{_text(report.model)} {_text(report.model_version)}"],
        ["card, SHA-256", f"<code>{_text(report.card_sha256)}</code>"],
        ["engine", f"{_text(report.software)} {_text(report.version)} on {_text(report.device)}"],
        ["seed", f"{report.seed}"],
        ["made", _text(report.created)],
    ]
    return "<section><h2>Provenance</h2>" + _table(("", ""), rows) + "</section>"
