"""Has each process of Python say what it cost when it ends; see C(profile) in stack.py. Loaded by C(site) from PYTHONPATH.

A line a process in the file BENCH_ACCOUNTING: its number, its parent's when it began or was forked, whether it is the warm process's
program, and its CPU seconds. Forks of Ansible and of the warm process end by C(os._exit), so that is where they say it.
"""

import atexit
import os
import resource

leave = os._exit
parents = {"pid": os.getpid(), "parent": os.getppid()}


def remember() -> None:
    """Whose child this is; later it may have been left to another."""
    parents.update(parent=parents["pid"], pid=os.getpid())


def account() -> None:
    """Say what this process has cost: in one write, because others do the same."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/cmdline", "rb") as words:  # modules see another sys.argv
        program = "warm" if b"warm_server" in words.read() else "ansible"
    line = f"{os.getpid()} {parents['parent']} {program} {usage.ru_utime + usage.ru_stime:.4f}\n"
    descriptor = os.open(os.environ["BENCH_ACCOUNTING"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def account_and_leave(status: int) -> None:
    """In the place of os._exit."""
    account()
    leave(status)


if "BENCH_ACCOUNTING" in os.environ:
    os.register_at_fork(after_in_child=remember)
    os._exit = account_and_leave
    atexit.register(account)
