"""PodDefault (kubeflow.org/v1alpha1): what is put into a tenant's pods as they are created. The rules are pure functions."""
