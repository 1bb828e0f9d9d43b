"""A lab in one file, for a machine without a network.

What opens a bundle needs the standard library alone (`zstd`, `manifest`, `archive`, `install`): it runs before there is an environment. What
makes one (`collect`) is a command of a lab that works.

A bundle is a tar, compressed as its name says (.tar.zst, .tar.gz, .tar), that unpacks to a folder `mlops-lab` which is a clone of the lab with
`bundle/` in it; its first member, `mlops-lab/bundle/manifest.json`, names every other file of `bundle/` with its size and SHA-256, and the
machine and the Python that it is for.
"""
