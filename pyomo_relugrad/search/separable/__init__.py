"""Search where a few rows tie many small networks: tables of what each can do, and programs that choose from them."""
