"""Potts fields: lattices, kernels, the normalizing constant, and labels that hang together."""
