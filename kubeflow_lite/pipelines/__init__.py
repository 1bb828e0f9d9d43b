"""ml-pipeline-ui: the tenants' training Jobs and the runs they recorded in MLflow."""
