"""Probes that ask a deployed stack about the platform's beliefs on Azure; the answers are written to files."""
