"""Code that the steps of all training pipelines share. It travels with each component, and knows no model."""
