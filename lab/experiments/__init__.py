"""Experiments: sweeps, runs side by side, champions, reproduction.

What trains and what moves an alias runs in the cluster, as Jobs of the training image. Here is what asks for it and what shows it: MLflow
is read over HTTP through the API server, for importing its client costs more than most of these commands take.
"""
