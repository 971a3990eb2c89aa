"""Benchmarks: each compares a job of ours with a floor measured in the same run, and prints the ratio."""
