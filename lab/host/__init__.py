"""What the lab does on this machine: other programs, background processes, ports, proxies, files that hold keys."""
