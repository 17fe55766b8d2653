"""The personas that come with Relaytrap, and how one is loaded by name or from a file."""

import difflib
from importlib import resources
from pathlib import Path

from relaytrap.errors import ConfigError
from relaytrap.sensor.persona import Persona, parse_persona
from relaytrap.sensor.voice import Voice

__all__ = ["load_persona", "persona_names"]


def persona_names() -> tuple[str, ...]:
    """Names of the bundled personas."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in files if entry.name.endswith(".toml")))


def load_persona(name: str, *, seed: str) -> Persona:
    """The bundled persona of that name, or the one in the file of that path, as this installation plays it.

    Raises ConfigError for a name that is none (with the nearest), a file that cannot be read or says something wrong.
    """
    if name in persona_names():
        text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return _checked(text, name, seed, f"persona {name}")
    if "/" not in name and not name.endswith(".toml"):
        raise ConfigError(f"sensor.persona: no persona {name!r}{_nearest(name)}")
    path = Path(name).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"sensor.persona: {path} cannot be read ({error.strerror}); name a readable file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"sensor.persona: {path} is not UTF-8 text; a persona is TOML in UTF-8") from None
    return _checked(text, path.stem, seed, str(path))


def _checked(text: str, name: str, seed: str, where: str) -> Persona:
    """A persona that can say everything it has in its file."""
    persona = parse_persona(text, name=name, seed=seed, where=where)
    try:
        Voice(persona).rehearse()
    except KeyError as error:
        field = error.args[0]
        shown = field.decode() if isinstance(field, bytes) else field
        raise ConfigError(f"{where}: nothing fills the field {{{shown}}}; see docs/reference/personas.md") from None
    return persona


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), persona_names(), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(persona_names())}, or write the path of a persona file"
