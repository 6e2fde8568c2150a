"""What the work of a run is done by: this process, those of torchrun beside it, or a cluster of machines."""
