"""The command line. Modules are imported by the command that needs them: `env` is in front of every verb."""
