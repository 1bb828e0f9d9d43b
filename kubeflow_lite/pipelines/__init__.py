"""ml-pipeline-ui: the training Jobs that everybody shares, and the runs they recorded in MLflow."""
