#!/usr/bin/python3
"""Ends before it says a word, as an engine with a missing library does."""

import sys

sys.stderr.write("ImportError: libmissing.so.1: cannot open shared object file\n")
sys.exit(3)
