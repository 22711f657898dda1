"""The tab Inputs: what goes into the model."""
