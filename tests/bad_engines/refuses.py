#!/usr/bin/python3
"""Refuses every job with a typed error that has facts and a cure."""

from well_behaved import Engine, contract


class Refuses(Engine):
    def answer(self, message):
        if message["method"] not in contract.JOBS:
            super().answer(message)
            return
        facts = {"missing": "nir"}
        error = contract.error_response(
            message["id"], contract.ErrorCode.BANDS_MISSING, "A band is missing.", "Name the bands.", facts
        )
        self.send(error)


Refuses().run()
