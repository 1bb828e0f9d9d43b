"""The lab's commands, a module a group. Each parses its options, calls one function of `lab`, and prints; tasks.py is their table of contents.

invoke reads a task's parameters itself, so annotations stay real objects here (no `from __future__ import annotations`), and what a command
needs is imported in its body: `./inv --list` must not load the Kubernetes client.
"""
