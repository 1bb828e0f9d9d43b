"""Benchmarks of `invoke bench`: each measures side by side, in one run, what the project promises."""
