"""What `whence run` puts on the path of the program it starts: recording, set up before the program's first line."""
