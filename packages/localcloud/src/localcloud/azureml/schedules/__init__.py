"""Schedules of a workspace: their triggers, the jobs that they make, and the task that starts them in time."""
