"""The deploy service: deployments, ports, versions, health."""
