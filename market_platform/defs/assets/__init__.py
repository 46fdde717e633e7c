"""Software-defined assets, made for each configured pair by factories.

Belongs here: one module a kind of asset; each wraps one pipeline function and reports what it did. Does not: the work.
"""
