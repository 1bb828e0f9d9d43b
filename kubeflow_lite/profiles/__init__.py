"""Profile (kubeflow.org/v1): a tenant's namespace with its accounts, roles and quota. `desired` is pure; `controller` applies it."""
