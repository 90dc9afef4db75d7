#!/usr/bin/python3
"""Kills itself in the middle of the first job of each run."""

import os
import signal
import sys

from well_behaved import Engine


class DiesMidJob(Engine):
    def embedded(self):
        sys.stderr.write("about to die\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


DiesMidJob().run()
