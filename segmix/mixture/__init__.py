"""The intensity mixture: priors, likelihood over levels, and the samplers of its posterior."""
