"""A small asynchronous client of the Kubernetes API: the verbs that the controllers and pages here use, and nothing else."""
