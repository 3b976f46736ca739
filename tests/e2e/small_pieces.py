"""Run `linkage` with pieces so small that a few thousand records fill many of them."""

from __future__ import annotations

from linkage.agent import matrixfile, source
from linkage.cli.main import main

source.BATCH_ROWS = 500
matrixfile.BUCKET_BYTES = 200_000
matrixfile.CHECKPOINT_ROWS = 1_000

main()
