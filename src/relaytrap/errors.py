"""What an operator can be told: one sentence that says what, where and what to do.

RelaytrapError
 ├── ConfigError        3   a setting is wrong, unknown or contradicts another
 ├── InputError         4   a file, argument or selector cannot be used
 ├── StoreError         5   the store cannot be opened, read or written
 │    ├── StoreLocked   6   another process owns the data directory
 │    └── StoreTooNew   7   written by a newer Relaytrap
 ├── ListenError        8   an address or port cannot be listened on
 ├── UplinkError        9   the hub did not take what the sensor sent
 ├── DiskError         10   no room or no permission to write
 ├── MissingExtra      11   this installation lacks the packages of that command
 └── WorkerError       13   a process that this one needs has ended

The number is the exit status of the command line. Hostile bytes from the network are data, not errors: they never
raise one of these. A traceback on the terminal is a bug of ours.
"""

__all__ = [
    "ConfigError",
    "DiskError",
    "InputError",
    "ListenError",
    "MissingExtra",
    "RelaytrapError",
    "StoreError",
    "StoreLocked",
    "StoreTooNew",
    "UplinkError",
    "WorkerError",
]


class RelaytrapError(Exception):
    """Something the operator can mend; str() is the sentence to show."""

    exit_status = 1


class ConfigError(RelaytrapError):
    """A setting is wrong: names file, line, key and the nearest valid choice."""

    exit_status = 3


class InputError(RelaytrapError):
    """A file, argument or selector cannot be used."""

    exit_status = 4


class StoreError(RelaytrapError):
    """The store cannot be opened, read or written."""

    exit_status = 5


class StoreLocked(StoreError):
    """Another process owns the data directory."""

    exit_status = 6


class StoreTooNew(StoreError):
    """The store was written by a newer Relaytrap than this one."""

    exit_status = 7


class ListenError(RelaytrapError):
    """An address or port cannot be listened on."""

    exit_status = 8


class UplinkError(RelaytrapError):
    """The hub did not take what the sensor sent."""

    exit_status = 9


class DiskError(RelaytrapError):
    """There is no room, or no permission, to write."""

    exit_status = 10


class MissingExtra(RelaytrapError):
    """This installation lacks the packages that a command needs."""

    exit_status = 11


class WorkerError(RelaytrapError):
    """A process that this one needs has ended."""

    exit_status = 13
