"""Controls that select: the clock of the checkpoints, layers, channels and images."""
