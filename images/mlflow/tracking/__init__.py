"""MLflow's tracking server as this lab runs it, and the databases it needs."""
