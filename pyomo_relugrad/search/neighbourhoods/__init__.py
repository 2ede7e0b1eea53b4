"""Large neighbourhood search: small mixed-integer programs around good points, each neighbourhood paid by its gains."""
