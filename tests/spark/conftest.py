"""A local Spark session for all tests of a run, with the Java that the engine found or installed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator

import pytest
from localcloud.core.settings import load_settings
from localcloud.databricks.launch import find_tools
from localcloud.engine.java_runtime import jvm_options
from localcloud.testing.plugin import SHORT_JOBS
from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    scratch = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(find_tools(load_settings()).java_home))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PATH", os.environ["PATH"])
        patch.setenv("SPARK_LAUNCHER_OPTS", "-XX:-UsePerfData")
        session = (
            SparkSession.builder.master("local[2]")
            .appName("tests")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.extraJavaOptions", shlex.join([*jvm_options(scratch), *shlex.split(SHORT_JOBS)]))
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.session.timeZone", "Etc/UTC")
            .getOrCreate()
        )
        yield session
        session.stop()
