"""open_clip's models as teachers of pixels: dense image embeddings, and text embeddings."""
