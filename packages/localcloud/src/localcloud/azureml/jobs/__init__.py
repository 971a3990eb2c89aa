"""Azure ML jobs: what is submitted, how pipelines are scheduled, the processes of commands, and their run history."""
