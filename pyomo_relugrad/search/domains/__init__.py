"""Where decision columns may lie: boxes and polytopes, projections onto them, points in them."""
