#!/usr/bin/python3
"""Not an engine at all: prints and prints."""

import sys
import time

while True:
    sys.stdout.write("hello\n")
    sys.stdout.flush()
    time.sleep(0.001)
