"""The rules: each a small pure function, measurements in, findings out."""
