"""The azure-native provider: Pulumi resources as ARM requests, by a table of types."""
