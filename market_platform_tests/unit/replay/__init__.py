"""The replay exchange, looked at from outside: every body is decoded here by hand, by struct, lzma and json alone."""
