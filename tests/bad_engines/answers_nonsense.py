#!/usr/bin/python3
"""Answers every job with an object of the wrong shape."""

from well_behaved import Engine, contract


class AnswersNonsense(Engine):
    def embedded(self):
        return contract.ExportResult("x", 1)


AnswersNonsense().run()
