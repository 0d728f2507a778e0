"""Sparse 3D networks: their sizes, and the networks themselves on torch and spconv."""
