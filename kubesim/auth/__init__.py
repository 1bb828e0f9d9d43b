"""Who is asking, and may they: authentication, impersonation, RBAC, access reviews and the roles a cluster starts with."""
