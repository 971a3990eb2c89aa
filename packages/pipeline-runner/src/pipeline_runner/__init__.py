"""Plays Azure DevOps pipelines from their YAML on one machine, against whatever cloud the environment leads to."""
