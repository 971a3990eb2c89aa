"""Azure Machine Learning: the workspace's resources in ARM, its data planes, and the processes that jobs run in."""
