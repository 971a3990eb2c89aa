"""python -m mlops."""

import gc

# Imports allocate hundreds of thousands of objects that stay: searching them for garbage takes a sixth of that time.
gc.set_threshold(100_000, 20, 20)

from mlops.cli import main  # noqa: E402 - its imports are meant

main()
