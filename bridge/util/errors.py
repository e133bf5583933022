"""Defines the base of all errors whose text is for the operator."""


class BridgeError(Exception):
    """Base of the errors that reach the operator: ``text`` says what happened and where, ``hint`` what to do."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(f"{text}. {hint}" if hint else text)
        self.text = text
        self.hint = hint
