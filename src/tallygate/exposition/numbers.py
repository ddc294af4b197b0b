"""Numbers as text: exact decimals from integers, and the shortest text that reads back as the same double."""

import math


def shifted(total: int, exponent: int) -> str:
    """``total * 10**exponent`` written out exactly, in fixed notation, without trailing zeros."""
    if exponent >= 0:
        return str(total * 10**exponent)
    digits = str(abs(total)).rjust(1 - exponent, "0")
    whole, fraction = digits[:exponent], digits[exponent:].rstrip("0")
    return f"{'-' if total < 0 else ''}{whole}{'.' + fraction if fraction else ''}"


def number(value: float) -> str:
    """The shortest text that reads back as ``value``; whole numbers without '.0'."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def cleaned(value: float) -> float:
    """``value`` at 15 significant digits: without the noise that scaling left, 2010.0 for 2009.9999999999998."""
    return float(f"{value:.15g}")
