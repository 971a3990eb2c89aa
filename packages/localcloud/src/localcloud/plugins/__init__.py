"""Pulumi provider plugins over public REST interfaces: what the vendors' binaries are elsewhere.

They know nothing of localcloud: addresses and sign-in come from the standard variables and the provider's own settings.
"""
