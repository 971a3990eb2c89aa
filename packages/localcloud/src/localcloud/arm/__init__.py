"""Azure Resource Manager: one generic resource store and the rules of each resource type."""
