"""How stylebatch is started: command line, catalog of deployments, local stack."""
