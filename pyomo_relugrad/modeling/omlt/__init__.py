"""Between our networks and OMLT's blocks: the expansion, and the bridge from blocks that users built."""
