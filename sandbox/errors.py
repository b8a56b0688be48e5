"""What can go wrong with a script; each class says what the caller must do next."""


class SandboxError(Exception):
    """Root of everything this package raises."""


class SandboxUnavailable(SandboxError):  # house style: what, not -Error
    """The machine cannot hold a script safely. Run no scripts here."""


class NoRoom(SandboxError):
    """As many scripts are held here as the operator allows. Try again when one has gone."""


class BadScript(SandboxError):
    """The script can never run as it stands. Show the text to its author."""


class BadCapsule(BadScript):
    """Saved state does not fit this script. Start it from `init()`."""


class JailFailed(SandboxError):
    """A script's process was ended. `outcome` says why, in a word: give it to the breaker.

    `traceback` holds the script's lines that were running, newest last, where they are known.
    """

    def __init__(self, outcome: str, message: str, traceback: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *traceback)))
        self.outcome, self.message, self.traceback = outcome, message, traceback
