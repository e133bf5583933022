"""The commands that look at a bridge, or at messages, without being one: ``explain``, ``send``, ``formats`` ...

One file a command, named as it is; what a command is made of stands beside it. They use the road's own functions
(framing, parsing, routing, batching) and never a copy of them: what a tool says is what the bridge does.
"""
