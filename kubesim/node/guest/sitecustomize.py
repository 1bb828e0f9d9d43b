"""Loaded by every Python program of a container (its folder is first on PYTHONPATH): puts the pod's network in place.

A sitecustomize that the environment itself has is loaded as well.
"""

# os.* on purpose: this runs between fork and exec, in every container, or in a tight loop.
# ruff: noqa: PTH100, PTH120
import importlib
import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))

if os.environ.get("KUBESIM_POD_IP"):
    importlib.import_module("kubesim_guest").activate(os.environ)


_others = [path for path in sys.path if os.path.abspath(path or ".") != _here]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _spec is not None and _spec.loader is not None:
    _spec.loader.exec_module(importlib.util.module_from_spec(_spec))
