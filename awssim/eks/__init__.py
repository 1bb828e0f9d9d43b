"""EKS: the lab's one cluster as ``describe-cluster`` tells it, and who an IAM user is there."""
