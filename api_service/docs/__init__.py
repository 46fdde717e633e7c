"""`/`, `/docs`, `/openapi.json` and `/problems`: what the service says of itself, without anything from elsewhere."""
