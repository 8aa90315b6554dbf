"""`mlstore serve`: bound models answer over HTTP."""
