"""Dynamic programming over problems that fall into stages: horizons and chains of networks."""
