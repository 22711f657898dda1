"""What selects: the clock of the checkpoints, layers, channels and images."""
