"""`/health` for people and monitors, `/livez` and `/readyz` for whatever starts and stops the process."""
