#!/usr/bin/python3
"""A well-behaved engine on a slow machine: time enough to cancel it or to kill it."""

from well_behaved import Engine


class Slow(Engine):
    steps = 400
    step_s = 0.05


Slow().run()
