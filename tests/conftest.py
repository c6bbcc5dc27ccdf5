"""Signals as programs at a terminal have them: what is started in the background ignores Ctrl-C, and so would its children."""

import signal
import threading

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
