"""What the tasks do: bring up a cluster, AWS stand-ins and tenants, train, predict, check, and take it all down.

Imports go downwards; import-linter holds the lab to it.

    commands/                                       what is typed; a body of a few lines each
    up down status verify doctor people logs ui     one module or package per task
    experiments/ serving/ load/ push/ faults/ agent/ benches/ reports/
    world                                           the chosen providers, the settings, the cluster; `dryrun/` gives another one
    clusters/ aws/ build/ checks/ tenancy/          what there is a choice of, and what a tenant is
    kube/                                           requests to a cluster's API, manifests, waiting
    settings                                        lab.yaml and the LAB_* variables
    host/                                           programs, processes, ports and files of this machine
    messages/ errors                                what is said, and what can go wrong

`bundle/` stands beside them: the half that installs runs before there is an environment.
"""
