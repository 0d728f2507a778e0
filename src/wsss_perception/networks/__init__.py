"""Sparse 3D networks (torch + spconv)."""
