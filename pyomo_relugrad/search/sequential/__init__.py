"""Sequential linear programming, for models with rows on outputs, several networks or integers."""
