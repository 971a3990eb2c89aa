"""Azure on one machine: the interfaces of its services, behind their own host names."""
