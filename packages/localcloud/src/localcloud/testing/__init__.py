"""Fixtures and helpers for tests that run against localcloud, its own and other programs'."""
