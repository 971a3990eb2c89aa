"""Columns of the breast cancer data, and features made from them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, IntegerType, StructField, StructType

SCHEMA = StructType(
    [
        StructField("mean_radius", DoubleType()),
        StructField("mean_texture", DoubleType()),
        StructField("mean_perimeter", DoubleType()),
        StructField("mean_area", DoubleType()),
        StructField("mean_smoothness", DoubleType()),
        StructField("mean_compactness", DoubleType()),
        StructField("mean_concavity", DoubleType()),
        StructField("mean_concave_points", DoubleType()),
        StructField("mean_symmetry", DoubleType()),
        StructField("mean_fractal_dimension", DoubleType()),
        StructField("radius_error", DoubleType()),
        StructField("texture_error", DoubleType()),
        StructField("perimeter_error", DoubleType()),
        StructField("area_error", DoubleType()),
        StructField("smoothness_error", DoubleType()),
        StructField("compactness_error", DoubleType()),
        StructField("concavity_error", DoubleType()),
        StructField("concave_points_error", DoubleType()),
        StructField("symmetry_error", DoubleType()),
        StructField("fractal_dimension_error", DoubleType()),
        StructField("worst_radius", DoubleType()),
        StructField("worst_texture", DoubleType()),
        StructField("worst_perimeter", DoubleType()),
        StructField("worst_area", DoubleType()),
        StructField("worst_smoothness", DoubleType()),
        StructField("worst_compactness", DoubleType()),
        StructField("worst_concavity", DoubleType()),
        StructField("worst_concave_points", DoubleType()),
        StructField("worst_symmetry", DoubleType()),
        StructField("worst_fractal_dimension", DoubleType()),
        StructField("malignant", IntegerType()),
    ]
)
"""Columns of the CSV file, in its order."""


def features(rows: DataFrame) -> DataFrame:
    """Return the complete rows, with how much the worst nuclei of a tumour differ from its mean ones."""
    complete = rows.dropna(how="any")
    return complete.withColumns(
        {
            "radius_spread": F.col("worst_radius") / F.col("mean_radius"),
            "texture_spread": F.col("worst_texture") / F.col("mean_texture"),
        }
    )
