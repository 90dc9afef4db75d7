"""``geomm``: the engine's verbs without QGIS. One module a verb; each loads what it needs only when it is called.

With ``--json`` a verb prints one JSON object on stdout; progress and log go to stderr. Exit status: 0 done, 1 refused
(with cause and cure), 2 a wrong command line, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from geomm_engine import __version__
from geomm_engine.cli import (
    anomaly,
    bench,
    chips,
    classify,
    embed,
    evaluate,
    gallery,
    locate,
    models,
    sample,
    search,
    selfcheck,
    serve,
    train,
)
from geomm_engine.contract import ErrorCode
from geomm_engine.errors import EngineError

log = logging.getLogger(__name__)

GDAL_CACHE_MB = "128"
"""Read by GDAL once, at the first block; its own default is a twentieth of the machine's memory."""

VERBS = (
    classify,
    embed,
    search,
    chips,
    anomaly,
    locate,
    gallery,
    models,
    sample,
    evaluate,
    train,
    bench,
    serve,
    selfcheck,
)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="geomm", description="Maps from words: zero-shot classes and search on your own rasters."
    )
    top.add_argument("--version", action="version", version=f"geomm {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.register(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit status."""
    level = os.environ.get("GEOMM_LOG", "warning").upper()
    logging.basicConfig(
        stream=sys.stderr,
        level=level if level in logging.getLevelNamesMapping() else "WARNING",
        format="%(levelname)s %(name)s: %(message)s",
    )
    os.environ.setdefault("GDAL_CACHEMAX", GDAL_CACHE_MB)
    args = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _run(args)
    except EngineError as problem:
        _refuse(problem.code, problem.text, problem.cure, is_json=getattr(args, "json", False))
        return 1
    except MemoryError:
        cure = "Close other programs, or choose a smaller area."
        _refuse(ErrorCode.OUT_OF_MEMORY, "The memory is full.", cure, is_json=getattr(args, "json", False))
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        log.debug("%s failed", args.verb, exc_info=problem)
        cure = "Report it with the output of the same command run with GEOMM_LOG=debug."
        _refuse(
            ErrorCode.INTERNAL, f"The engine made a mistake: {problem!r}.", cure, is_json=getattr(args, "json", False)
        )
        return 1
    except KeyboardInterrupt:
        print("\ngeomm: stopped; run the same command again to go on from here.", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    status = int(args.run(args))
    sys.stdout.flush()
    return status


def _stop(*_: object) -> NoReturn:
    """An end asked for from outside cleans up like one asked for at the keyboard."""
    raise KeyboardInterrupt


def _refuse(code: ErrorCode, text: str, cure: str, *, is_json: bool) -> None:
    print(f"geomm: {text}\n       {cure}".rstrip(), file=sys.stderr)
    if is_json:
        print(json.dumps({"error": {"code": code.value, "text": text, "cure": cure}}, ensure_ascii=False))
