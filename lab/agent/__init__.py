"""The lab's agent: a process on the host that keeps the dashboard's facts true and does what its buttons ask for.

The dashboard is a program in the cluster: it has no tenant's credentials and cannot break or mend anything. The agent has what the person who
brought the lab up has. The two meet in objects of namespace kubeflow (`objects.py`): reports and a catalogue go one way, requests the other,
so this works on every cluster that the lab runs on. Every request is checked here again; nothing that it says is executed.

`./inv ui` starts it, `./inv down` ends it.
"""
