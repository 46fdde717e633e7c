"""The embedded Postgres and the supervisor of the stack, against everything that a machine does to them."""
