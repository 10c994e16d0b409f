"""The Tape: records the calls that leave a process, replays them exactly, and explains a call that it does not know.

An island: it knows HTTP and tool calls, and nothing of the server around it.
"""
