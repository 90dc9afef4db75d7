"""What an evaluation leaves in a folder: the page, the numbers, and a table of answers for each set. All or nothing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from geomm_engine.contract import encode
from geomm_engine.evaluation.page import page
from geomm_engine.evaluation.study import Evaluation, Sheet
from geomm_engine.writers.draft import publish_with

PAGE, NUMBERS = "report.html", "report.json"


def write(evaluation: Evaluation, folder: Path) -> tuple[Path, ...]:
    """Write ``report.html``, ``report.json`` and, where class names were typed, ``answers-<set>.csv``.

    Raises:
        OutputError: one of them cannot be written; then none is.
    """
    texts = {
        folder / PAGE: page(evaluation),
        folder / NUMBERS: json.dumps(encode(evaluation.report), ensure_ascii=False, indent=1, allow_nan=False) + "\n",
    }
    for at, sheet in enumerate(evaluation.sheets):
        if sheet.answers is not None:
            name = Path(sheet.name).stem
            target = folder / f"answers-{name}.csv"
            texts[folder / f"answers-{name}-{at + 1}.csv" if target in texts else target] = answers_csv(sheet)
    publish_with(None, texts)
    return tuple(texts)


def answers_csv(sheet: Sheet) -> str:
    """One line a picture: what it is, what was said, how sure, the share of the true class, the reject score."""
    if sheet.answers is None:
        return ""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("picture", "true", "said", "confidence", "share_of_true", "reject_score"))
    answers = sheet.answers
    for path, label, said, confidence, share, reject in zip(
        sheet.paths,
        sheet.labels,
        answers.said,
        answers.confidence,
        answers.true_share,
        answers.reject_score,
        strict=True,
    ):
        numbers = (f"{confidence:.4f}", f"{share:.4f}", f"{reject:.4f}")
        table.writerow((path, sheet.classes[label], sheet.classes[said], *numbers))
    return stream.getvalue()
