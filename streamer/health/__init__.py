"""How the streamer is, for people and programs: rows in Postgres, `/health`, `/metrics`.

Belongs here: putting together and serving what the other parts count. Does not: counting, or anything that the stream needs.
"""
