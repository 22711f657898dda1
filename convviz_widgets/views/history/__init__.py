"""How distributions, sparsity and gradients went over the training."""
