"""What is wrong with a template: which one, in which line, and why."""


class TemplateError(ValueError):
    """A template that cannot be parsed or executed."""

    def __init__(self, name: str, line: int, reason: str) -> None:
        self.name = name
        self.line = line
        self.reason = reason
        where = f'template "{name}"' if name else "template"
        super().__init__(f"{where}, line {line}: {reason}")


class ValueProblem(ValueError):  # noqa: N818 - becomes a TemplateError once a line is known
    """A value that a function or operand cannot work with; whoever executes adds the name and line."""
