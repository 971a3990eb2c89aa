"""Entry point that the engine starts."""

from importlib.metadata import version

from localcloud.plugins.azure_native.provider import AzureNative
from localcloud.plugins.serving import serve

if __name__ == "__main__":
    serve(AzureNative(), version("pulumi-azure-native"))
