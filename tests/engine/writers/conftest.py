from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    path = tmp_path / "petit disque é"
    path.mkdir()
    mount = shutil.which("mount")
    is_mounted = (
        mount is not None
        and os.name == "posix"
        and subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", path], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not is_mounted:
        pytest.skip("may not mount a small disk here")
    yield path
    subprocess.run(["umount", path], check=True)
