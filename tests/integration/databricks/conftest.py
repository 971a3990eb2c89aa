"""A Databricks service on a port of its own for all tests of this folder."""

from localcloud.testing.databricks_service import admin as admin
from localcloud.testing.databricks_service import databricks_url as databricks_url
from localcloud.testing.databricks_service import directory as directory
from localcloud.testing.databricks_service import folder as folder
from localcloud.testing.databricks_service import member as member
from localcloud.testing.databricks_service import stranger as stranger
