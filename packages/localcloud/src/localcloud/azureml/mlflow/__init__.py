"""MLflow behind Azure ML: the tracking server of each workspace, and models as ARM shows them."""
