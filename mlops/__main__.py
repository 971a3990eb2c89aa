"""python -m mlops."""

from mlops.cli import main

main()
