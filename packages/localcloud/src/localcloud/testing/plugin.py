"""The pytest plugin, `-p localcloud.testing.plugin`: a running localcloud, the deployer's session, a resource group."""

import os

from localcloud.testing.azure_session import azure as azure
from localcloud.testing.azure_session import group as group
from localcloud.testing.cloud import cloud as cloud

SHORT_JOBS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Options of a JVM that runs for seconds: without the optimising compiler, tests of Spark take half as long."""

os.environ.setdefault("LOCALCLOUD_DRIVER_JAVA_OPTIONS", SHORT_JOBS)
