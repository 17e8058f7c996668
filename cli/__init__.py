"""The `segmix` command: read, one call, write, print."""
