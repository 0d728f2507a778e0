"""Loss functions, one idea a file."""
