"""How many files and connections a process may have open at once."""

import resource

__all__ = ["allow_open_files"]


def allow_open_files(wanted: int) -> int:
    """Raise this process's own limit to so many, as far as it may; how many of them it has then.

    A login's usual limit of 1,024 is less than strangers may open connections here, and what they take is missing where
    a file is to be written.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):
        # macOS names no bound and takes no more than 10,240; a sandbox may refuse altogether.
        return soft
    return allowed
