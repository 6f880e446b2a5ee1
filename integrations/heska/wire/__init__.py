"""Every field name and structure of Heska's messages, both ways, and nothing else knows them. Pure:
bytes and plain data in, plain data out; no database, no HTTP.

`strict` reads JSON, `reader` accounts for every leaf, `inbound` and `outbound` hold the shapes,
`tables` the code words.
"""
