"""Entry point that the engine starts."""

from importlib.metadata import version

from localcloud.plugins.databricks.provider import Databricks
from localcloud.plugins.serving import serve

if __name__ == "__main__":
    serve(Databricks(), version("pulumi-databricks"))
