#!/usr/bin/python3
"""Works on through every cancel, and does not mind a closed stdin."""

import json
import sys

from well_behaved import Engine, contract


class IgnoresCancel(Engine):
    steps = 100_000

    def read(self):
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message.get("method") != contract.CANCEL:
                self.inbox.put(message)


IgnoresCancel().run()
