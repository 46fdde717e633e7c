"""`/metrics`: Prometheus text of requests, of the service, and of every exchange's stream."""
