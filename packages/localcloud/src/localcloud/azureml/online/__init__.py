"""Managed online endpoints: their resources in ARM, the processes of their deployments, and the scoring host."""
