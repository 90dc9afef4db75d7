"""``geomm serve``: the engine process that the QGIS plugin talks to over stdin and stdout."""

from __future__ import annotations

import argparse


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("serve", help="speak with the QGIS plugin over stdin and stdout")
    verb.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    from geomm_engine import service
    from geomm_engine.rpc.channel import Channel
    from geomm_engine.rpc.dispatcher import Dispatcher

    Dispatcher(Channel.over_stdio(), service.handlers(), service.jobs()).serve()
    return 0
