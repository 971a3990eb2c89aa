"""Fixtures for all tests."""

from localcloud.testing.scratch import scratch as scratch
