"""Training: scene tags, camera images and 2D teachers in, a model bundle out."""
