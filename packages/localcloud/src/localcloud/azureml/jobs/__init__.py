"""Azure ML jobs: submissions, scheduling of pipelines, the processes of commands, and their run history."""
