"""Asks a deployed stack what the platform's code believes of Azure, and writes the answers down."""
