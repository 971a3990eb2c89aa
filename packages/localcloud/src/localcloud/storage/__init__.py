"""Blob storage: Azurite, and the front that makes it answer as https://ACCOUNT.blob.core.windows.net."""
