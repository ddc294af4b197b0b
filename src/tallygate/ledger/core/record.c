/* Numbers that are not the common case: whole numbers at odd scales, subclasses, clocks. */
#include "record.h"

int whole_units(const Measure *measure, int64_t value, int64_t *units) {
    if (measure->divisor == 1) {
        if (value > measure->whole_limit || value < -measure->whole_limit) return VALUE_BAD;
        *units = value * measure->multiplier;
        return VALUE_GOOD;
    }
    int64_t quotient = value / measure->divisor, rest = value % measure->divisor;
    if (rest < 0) quotient -= 1, rest += measure->divisor;
    /* half to even; a divisor is a power of ten, so it halves exactly */
    int64_t half = measure->divisor / 2;
    *units = quotient + (rest > half || (rest == half && (quotient & 1)));
    if (value < 0 && *units == 0 && measure->kind != KIND_GAUGE) *units = -1;
    return VALUE_GOOD;
}

/* bool and other subclasses of int and float; anything else is bad. */
int value_of_other(const Measure *measure, PyObject *value, int64_t *units) {
    PyObject *exact;
    if (PyLong_Check(value)) {
        long long whole = PyLong_AsLongLong(value);
        if (whole == -1 && PyErr_Occurred()) {
            PyErr_Clear();
            return VALUE_BAD;
        }
        return whole_units(measure, whole, units);
    }
    if (!PyFloat_Check(value)) return VALUE_BAD;
    exact = PyFloat_FromDouble(PyFloat_AsDouble(value));
    if (exact == NULL) {
        PyErr_Clear();
        return VALUE_BAD;
    }
    int outcome = value_of(measure, exact, units);
    Py_DECREF(exact);
    return outcome;
}

int64_t nano_units(const Measure *measure, int64_t nanoseconds) {
    if (nanoseconds > INT64_MAX / 2 / measure->nano_multiplier) return OBSERVATION_LIMIT + 1;
    return (nanoseconds * measure->nano_multiplier + measure->nano_divisor / 2) / measure->nano_divisor;
}
