"""What makes a tenant one: its objects on a cluster, the credentials somebody signs in with, its database and that database's password."""
