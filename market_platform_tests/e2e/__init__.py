"""The whole stack, started as a user starts it and asked what a user asks; some of it in a real browser."""
