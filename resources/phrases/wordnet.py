"""WordNet's files, as Debian's ``wordnet-base`` installs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/usr/share/wordnet")


def wordnet(part: str) -> Iterator[tuple[str, int]]:
    """Every name of a part of speech ("noun", "adj", "adv", "verb"), spaces as "_", with the number of its lexicographer file."""
    for line in (FOLDER / f"data.{part}").read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        for place in range(int(fields[3], 16)):
            yield fields[4 + 2 * place], int(fields[1])
