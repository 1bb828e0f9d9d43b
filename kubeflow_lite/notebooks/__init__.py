"""Notebook (kubeflow.org/v1): a StatefulSet of one pod and a Service in front of it."""
