"""What the tasks do: bring up a cluster, AWS stand-ins and tenants, train, predict, check, and take it all down."""
