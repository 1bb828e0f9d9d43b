"""The course's iris service: the registry's champion behind HTTP. `python -m serving`."""
