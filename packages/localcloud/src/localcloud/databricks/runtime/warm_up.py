"""Starts Spark, warms it up and stops it in order, so that its JVM can write its archive of classes at exit.

python -I -u start.py warm_up LAUNCH.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import session


def main(launch_file: str) -> None:
    """Exit with the JVM's exit code."""
    conf = json.loads(Path(launch_file).read_text())["conf"]
    spark = session.start(conf)
    session.warm_up(spark)
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # the JVM ends when this pipe does
    sys.exit(int(gateway.proc.wait()))
