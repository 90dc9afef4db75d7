#!/usr/bin/python3
"""Writes megabytes of warnings while it works."""

import sys

from well_behaved import Engine


class FloodsStderr(Engine):
    def send(self, message):
        sys.stderr.write("warning: something trivial\n" * 20_000)
        super().send(message)


FloodsStderr().run()
