#!/usr/bin/python3
"""An engine of another age: its answer to ``initialize`` has another protocol number and other fields."""

import json
import sys

for _line in sys.stdin.buffer:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": 0, "result": {"protocol": 99, "flavour": "new"}}) + "\n")
    sys.stdout.flush()
