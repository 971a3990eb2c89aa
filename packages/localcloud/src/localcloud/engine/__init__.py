"""Installation of the tools that localcloud runs on: Pulumi CLI and language host, JRE, Node, Azurite.

Imports nothing by itself: the language host starts from here and its start-up time is part of every `pulumi up`.
"""
