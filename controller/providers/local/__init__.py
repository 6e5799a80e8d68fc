"""Jobs as local processes, for trying Jennah out without a cloud. A development tool: nothing is isolated.

Each job is a folder and a `runner` process of its own, which needs nobody: it goes on while the controller
is stopped or killed, and is found again by the folder's name. The image is recorded, not run.
"""
