"""The platform as a Pulumi program."""
