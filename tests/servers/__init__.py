"""Real servers for tests: installed once under ``.cache/servers``, run as processes that end with the tests."""
