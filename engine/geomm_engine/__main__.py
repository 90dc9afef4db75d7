"""``python -m geomm_engine`` is ``geomm``."""

import sys

from geomm_engine.cli import main

sys.exit(main())
