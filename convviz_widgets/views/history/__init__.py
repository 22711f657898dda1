"""The tab History: how distributions, sparsity and gradients went over the training."""
