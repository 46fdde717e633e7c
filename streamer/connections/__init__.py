"""The sockets: an exchange's connections, from opening one within its limits to handing on the events that it brings.

Belongs here: connecting and connecting again, overlap, subscribing, silence, what a failure means, limits on connecting. Does
not: what an event changes (routing/), which connections there are (supervisor.py).
"""
