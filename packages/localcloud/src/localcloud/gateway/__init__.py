"""The one process that listens: TLS gateway, CONNECT proxy, identity endpoint, and the children it supervises."""
