"""Dynamic programming over models that fall into stages: horizons, chains of networks."""
