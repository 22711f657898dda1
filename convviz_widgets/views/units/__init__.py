"""What single channels do over all images."""
