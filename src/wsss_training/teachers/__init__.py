"""2D teachers: what is known of the pixels."""
