"""Lua scripts of the store; each file says which keys it touches and what it keeps true."""
