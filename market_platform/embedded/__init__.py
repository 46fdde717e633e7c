"""The embedded default: our own Postgres from a wheel, and the supervisor behind `market-platform up`.

Belongs here: starting, watching and ending processes on one machine; the state files below `MARKET_DATA_DIR`; moments
that only a machine without Docker or accounts needs. Does not: what the processes do. Nothing here imports Dagster, the
exchanges or the API; the supervisor runs the very commands that docker-compose runs.

    stack.py           `up`, `up --detach`, `down`: the supervisor put together, or one that runs talked to
    supervisor.py      the order of a stack's life; stop_signals.py, groundwork.py, kept_postgres.py and shutdown.py are its parts
    services.py        what runs, and how each proves that it is ready (probes.py); child.py is one process's life
    record.py          what runs, written down, and the lock of the one supervisor; screen.py, logs.py: what a person sees
    preflight.py       what is checked before anything starts (ports.py, files.py)
    postgres.py        the server: started, adopted, stopped, recovered
    postgres_*.py      its folder, data, process and answers; binaries.py, unprivileged.py: its programs, and as whom they run
    processes.py       pids and signals; launch.py, early.py: how children are started
    databases.py       which database a command means; prepare.py: migrations and pairs before the services start
    reset.py           what `reset` deletes
"""
