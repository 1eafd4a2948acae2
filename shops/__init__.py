"""The tenant: install and tokens, request verification, the Admin GraphQL client and its documents, API keys."""
