"""Data Lake Storage: https://ACCOUNT.dfs.core.windows.net, in front of the same blobs as the blob endpoint.

A file is a block blob whose blocks are named after their positions. A directory is an empty blob with the metadata
hdi_isfolder=true, as the blob endpoint of Azure shows them, or just a prefix of blobs that were written there. Roles
decide on access; owners and ACLs are stored and shown, but no POSIX permission opens or closes anything.
"""
