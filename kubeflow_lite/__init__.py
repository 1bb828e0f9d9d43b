"""The part of Kubeflow that the course uses: Profile, PodDefault, Notebook, and two pages that show what is there.

It runs the same on any cluster: plain API calls, one image, one program per Deployment (`python -m kubeflow_lite ROLE`).
"""
