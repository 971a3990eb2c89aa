"""Migration from the Terraform sample to a stack of this program."""
