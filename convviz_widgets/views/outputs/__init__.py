"""What comes out of the model."""
