"""Unity Catalog: one metastore for each region, its objects, and their privileges.

Sources: databricks-sdk's catalog service (paths, fields), Databricks' documentation (rules, privileges), and the
Terraform provider's, the CLI's and ucx' repositories and issues, which quote the service's refusals.
"""
