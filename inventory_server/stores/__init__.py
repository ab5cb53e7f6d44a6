"""Where state lives: Redis, through Lua scripts."""
