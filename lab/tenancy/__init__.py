"""The people of a class: what each tenant is on a cluster, the credentials they sign in with, their databases, and who is in the class."""
