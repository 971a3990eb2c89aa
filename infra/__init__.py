"""What exists: the platform as a Pulumi program."""
