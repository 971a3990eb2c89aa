"""Pulumi declarations that the platform's program and the bootstrap share."""
