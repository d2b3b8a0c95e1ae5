"""Secret: a credential of the configuration that shows itself to nobody but the sender that needs it."""

from typing import Any, Final, Literal, NoReturn

HIDDEN: Final = "<secret>"
Origin = Literal["text", "file", "env"]


class Secret:
    """A credential, or where to read it: written as text, as `{file: PATH}` or as `{env: NAME}`.

    Its repr, its text in a message and its JSON are `<secret>`; only `reveal_text` gives what was written.
    """

    __slots__ = ("_origin", "_text")

    def __init__(self, text: str, origin: Origin = "text") -> None:
        self._text = text
        self._origin = origin

    @property
    def origin(self) -> Origin:
        """Where the credential is: in the configuration itself, in a file, in the environment."""
        return self._origin

    @property
    def place(self) -> str:
        """The file or variable it is read from, for messages; `<secret>` if it stands in the configuration."""
        return HIDDEN if self._origin == "text" else self._text

    def reveal_text(self) -> str:
        """Return the credential itself, or the path or name to read it from (`origin` says which)."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._text, self._origin) == (other._text, other._origin)

    def __hash__(self) -> int:
        return hash((self._text, self._origin))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied by value")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self


def secret_of(written: object) -> Secret:
    """Return the secret that a configuration writes; raises ValueError with the reason if it is none."""
    if isinstance(written, str):
        return Secret(written)
    if isinstance(written, dict) and len(written) == 1:
        ((origin, text),) = written.items()
        if origin in ("file", "env") and isinstance(text, str) and text:
            return Secret(text, origin)
    raise ValueError("a secret is a text, {file: PATH} or {env: NAME}")


def chosen(secret: Secret | None, file: str) -> Secret | None:
    """Return the one of `key` and `key_file` that is configured."""
    return Secret(file, "file") if secret is None and file else secret


def at_most_one(**keys: object) -> None:
    """Raise ValueError if more than one of these keys is configured."""
    given = [name for name, value in keys.items() if value]
    if len(given) > 1:
        raise ValueError(f"at most one of {' and '.join(given)} may be configured")
