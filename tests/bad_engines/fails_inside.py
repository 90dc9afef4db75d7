#!/usr/bin/python3
"""Answers every job with a mistake of its own, and says on stderr which."""

import logging

from well_behaved import Engine, contract


class FailsInside(Engine):
    def answer(self, message):
        if message["method"] not in contract.JOBS:
            super().answer(message)
            return
        try:
            raise KeyError("tile 17")
        except KeyError as problem:
            logging.exception("request %s failed", message["id"])
            text = f"The engine made a mistake: {problem!r}."
        self.send(contract.error_response(message["id"], contract.ErrorCode.INTERNAL, text))


FailsInside().run()
