"""Fixtures and helpers for tests that run against localcloud, its own and those of programs that use it."""
