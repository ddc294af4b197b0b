/* Exemplars: from Python objects to what a page can show of them. */
#include "core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_NAMES 15     /* trace_id and span_id */
#define LABEL_LIMIT 128    /* characters of all labels, by OpenMetrics */
#define LATEST_TIME 1e11   /* seconds */
#define BETWEEN_PAUSES 256 /* objects read before other threads get their turn */

/* ASCII letters and digits alone; where text goes, or NULL. */
static const char *plain_id(PyObject *object, size_t *length) {
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(object, &size);
    if (text == NULL) return NULL;
    *length = (size_t)size;
    for (Py_ssize_t i = 0; i < size; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) *length = SIZE_MAX;
        if (*length == SIZE_MAX) break;
    }
    return text;
}

static char *append(char *at, const char *text, size_t length) { return memcpy(at, text, length), at + length; }

/* 1 taken, 0 not to be shown, -1 exception. */
static int take(Traced *traced, PyObject *cell, PyObject *exemplar) {
    if (!PyTuple_Check(exemplar) || PyTuple_Size(exemplar) != 5) {
        PyErr_SetString(PyExc_TypeError, "an exemplar is (cell, trace_id, span_id, value, timestamp)");
        return -1;
    }
    size_t trace_length, span_length;
    const char *trace = plain_id(PyTuple_GetItem(exemplar, 1), &trace_length);
    const char *span = trace ? plain_id(PyTuple_GetItem(exemplar, 2), &span_length) : NULL;
    if (span == NULL) return -1;
    traced->cell = PyLong_AsLongLong(cell);
    if (traced->cell == -1 && PyErr_Occurred()) return -1;
    traced->value = PyFloat_AsDouble(PyTuple_GetItem(exemplar, 3));
    if (traced->value == -1 && PyErr_Occurred()) return -1;
    traced->timestamp = PyFloat_AsDouble(PyTuple_GetItem(exemplar, 4));
    if (traced->timestamp == -1 && PyErr_Occurred()) return -1;
    if (trace_length == 0 || trace_length > LABEL_LIMIT || span_length > LABEL_LIMIT) return 0;
    if (trace_length + span_length + LABEL_NAMES > LABEL_LIMIT) return 0;
    if (!isfinite(traced->value) || !(traced->timestamp >= 0 && traced->timestamp < LATEST_TIME)) return 0;
    char *at = append(traced->labels, "{trace_id=\"", 11);
    at = append(at, trace, trace_length);
    if (span_length > 0) {
        at = append(at, "\",span_id=\"", 11);
        at = append(at, span, span_length);
    }
    at = append(at, "\"}", 2);
    traced->length = (uint32_t)(at - traced->labels);
    return 1;
}

static int by_cell(const void *a, const void *b) {
    int64_t left = ((const Traced *)a)->cell, right = ((const Traced *)b)->cell;
    return (left > right) - (left < right);
}

bool exemplars_take(Exemplars *exemplars, PyObject *mapping) {
    PyObject *items = PyMapping_Items(mapping);
    if (items == NULL) return false;
    Py_ssize_t count = PyList_Size(items);
    exemplars->items = count > 0 ? malloc((size_t)count * sizeof(Traced)) : NULL;
    exemplars->count = 0;
    if (count > 0 && exemplars->items == NULL) return Py_DECREF(items), PyErr_NoMemory(), false;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyList_GetItem(items, i);
        PyObject *cell = PyTuple_GetItem(pair, 0), *exemplar = cell ? PyTuple_GetItem(pair, 1) : NULL;
        int taken = exemplar ? take(&exemplars->items[exemplars->count], cell, exemplar) : -1;
        if (taken < 0) return Py_DECREF(items), false;
        exemplars->count += (size_t)taken;
        if (i % BETWEEN_PAUSES == BETWEEN_PAUSES - 1) {
            Py_BEGIN_ALLOW_THREADS;
            Py_END_ALLOW_THREADS;
        }
    }
    Py_DECREF(items);
    if (exemplars->count > 1) qsort(exemplars->items, exemplars->count, sizeof(Traced), by_cell);
    return true;
}

size_t exemplars_from(const Exemplars *exemplars, int64_t cell, size_t near) {
    const Traced *items = exemplars->items;
    size_t low = 0, high = exemplars->count;
    /* Sources mostly come in the order of cells: then the answer is where the last one was, or the next. */
    if (near <= high && (near == 0 || items[near - 1].cell < cell)) {
        if (near == high || items[near].cell >= cell) return near;
        low = near + 1;
    } else if (near < high) {
        high = near;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (items[middle].cell < cell)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double exemplar_value(const Family *family, double value) {
    if (family->scale == 0 && !family->has_factor) return value;
    double scaled = family->scale >= 0 ? value * family->scale_step : value / family->scale_step;
    return cleaned(family->has_factor ? scaled * family->factor : scaled);
}

size_t write_exemplar(char *out, const Family *family, const Traced *traced) {
    char *at = append(out, " # ", 3);
    at = append(at, traced->labels, traced->length);
    *at++ = ' ';
    at += write_number(at, exemplar_value(family, traced->value));
    *at++ = ' ';
    at += write_shifted(at, (Total)(traced->timestamp * 1000 + 0.5), -3);
    return (size_t)(at - out);
}
