"""Fixtures and options of all tests."""

from localcloud.testing.scratch import scratch as scratch
