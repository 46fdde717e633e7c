"""The command line's topics, one module each; a module adds its commands in `register(app)`.

Belongs here: arguments, help, progress, what is printed. Does not: SQL, Dagster at import, anything a library function
elsewhere should do.
"""
