"""The write-ahead journal: what counts as received is on this disk first.

Belongs here: the file, its entries, the thread that commits them. Does not: what becomes of them (delivery/), who hands them in
(journal_sink.py).
"""
