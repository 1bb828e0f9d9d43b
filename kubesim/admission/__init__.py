"""What happens to a write between authorization and the store: defaults, validation, and the visible list of plug-ins in `chain`."""
