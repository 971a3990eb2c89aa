"""Pulumi provider plugins over public REST interfaces, in place of the vendors' binaries.

They know nothing of localcloud: addresses and sign-in come from the standard variables and the provider's own settings.
"""
