"""`python -m benchmarks.first_engineering DATA [driver]`: print the seconds of the function in a new Spark session.

The session is up and has run a query of one row: not even a pool's idle driver has run the notebook. With `driver`, it
has the settings of a driver of localcloud's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from packages.localcloud.benchmarks.by_hand import driver_session, engineer_by_hand, spark_session
from packages.localcloud.benchmarks.pairs import seconds


def main(data: Path, *, driver: bool) -> None:
    """Print the duration."""
    session = driver_session if driver else spark_session
    with TemporaryDirectory() as scratch, session(Path(scratch)) as spark:
        spark.range(1).count()
        duration = seconds(lambda: engineer_by_hand(spark, Path(scratch), data))
    sys.stdout.write(f"{duration}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), driver=sys.argv[2:] == ["driver"])
