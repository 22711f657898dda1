"""The tab Outputs: what comes out of the model."""
