"""Unity Catalog: a metastore a region, what is in it, and who may do what with it.

Sources: databricks-sdk's catalog service (paths, fields), Databricks' documentation (rules, privileges), and the
Terraform provider's, the CLI's and ucx' repositories and issues, which quote the service's refusals.
"""
