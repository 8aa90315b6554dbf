"""Where an expression is computed."""
