#!/usr/bin/python3
"""Hears a cancel only when its stdin is closed, answers it then, and takes its time to end."""

import json
import sys

from well_behaved import Engine, contract


class CancelsLate(Engine):
    steps = 100_000

    def read(self):
        asked = set()
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message.get("method") == contract.CANCEL:
                asked.add(message["params"]["id"])
            else:
                self.inbox.put(message)
        self.cancelled |= asked


CancelsLate().run()
