"""The least Spark program that scores a file: `python -m packages.localcloud.benchmarks.bare_scoring FOLDER DATA`.

It starts a session on the settings of a driver of localcloud's, reads, makes the features, predicts by pandas_udf with
the model in FOLDER, and writes Parquet there. It checks, refuses and measures nothing, and its files are on this disk.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def main(folder: Path, data: Path) -> None:
    from packages.localcloud.benchmarks.by_hand import driver_session

    with driver_session(folder / "session") as spark:
        score_by_hand(spark, folder, data)


def score_by_hand(spark: Any, folder: Path, data: Path) -> None:
    """Read, make features, predict and write, without a check of anything."""
    import mlflow
    from pyspark.sql.types import StructType

    from notebooks.lib.diabetes import SCHEMA, complete_rows

    schema = StructType([field for field in SCHEMA.fields if field.name != "progression"])
    features = complete_rows(spark.read.csv(data.as_uri(), schema=schema, header=True))
    predict = mlflow.pyfunc.spark_udf(spark, (folder / "model").as_uri(), result_type="double", env_manager="local")
    names = [name for name in features.columns if name in schema.names]
    scored = features.withColumn("prediction", predict(*names)).select("age", "sex", "prediction")
    scored.write.mode("overwrite").parquet((folder / "scored").as_uri())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
