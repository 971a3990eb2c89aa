"""Code that runs on the platform: notebooks, components, pipeline, and the verbs that publish, run and promote them."""
