"""A registry on disk: OCI Distribution on ``/v2``, and ECR's API about the same images."""
