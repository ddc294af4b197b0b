/* The Python type Family: what is shown, and from which cells. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define CONSTANT_LIMIT 64

static bool take_layout(Layout *layout, PyObject *head, PyObject *name, PyObject *buckets) {
    Py_ssize_t count = PyTuple_Size(buckets);
    layout->head = (Span){PyBytes_AsString(head), (size_t)PyBytes_Size(head)};
    layout->name = (Span){PyBytes_AsString(name), (size_t)PyBytes_Size(name)};
    layout->buckets = calloc((size_t)count + 1, sizeof(Span));
    if (layout->buckets == NULL) return PyErr_NoMemory(), false;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *bucket = PyTuple_GetItem(buckets, i);
        layout->buckets[i] = (Span){PyBytes_AsString(bucket), (size_t)PyBytes_Size(bucket)};
        if (layout->buckets[i].text == NULL) return false;
    }
    return true;
}

static bool take_buckets(Family *family, PyObject *bounds, PyObject *map) {
    family->bounds_count = (uint32_t)PyTuple_Size(bounds);
    family->map_length = (uint32_t)PyTuple_Size(map);
    family->bounds = calloc((size_t)family->bounds_count + 1, sizeof(double));
    family->bucket_map = calloc((size_t)family->map_length + 1, sizeof(uint16_t));
    if (family->bounds == NULL || family->bucket_map == NULL) return PyErr_NoMemory(), false;
    for (uint32_t i = 0; i < family->bounds_count; i++) {
        family->bounds[i] = PyFloat_AsDouble(PyTuple_GetItem(bounds, i));
        if (PyErr_Occurred()) return false;
    }
    for (uint32_t i = 0; i < family->map_length; i++) {
        unsigned long bucket = PyLong_AsUnsignedLong(PyTuple_GetItem(map, i));
        if (PyErr_Occurred()) return false;
        if (bucket > family->bounds_count) return PyErr_SetString(PyExc_ValueError, "no such bucket"), false;
        family->bucket_map[i] = (uint16_t)bucket;
    }
    return true;
}

static bool take_span(Span *span, PyObject *bytes) {
    if (bytes == NULL || !PyBytes_Check(bytes)) return PyErr_SetString(PyExc_TypeError, "a text is bytes"), false;
    *span = (Span){PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
    return true;
}

static bool take_quantiles(Family *family, PyObject *quantiles, PyObject *middles) {
    Py_ssize_t count = PyTuple_Size(quantiles), buckets = PyTuple_Size(middles);
    if (count == 0) return true;
    if (family->shape != SUMMARY || count > UINT16_MAX || buckets != (Py_ssize_t)family->bounds_count + 1)
        return PyErr_SetString(PyExc_ValueError, "quantiles are a summary's, and need one text per bucket"), false;
    family->quantiles = calloc((size_t)count, sizeof(Quantile));
    family->middles = calloc((size_t)buckets, sizeof(Span));
    if (family->quantiles == NULL || family->middles == NULL) return PyErr_NoMemory(), false;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *label;
        if (!PyArg_ParseTuple(PyTuple_GetItem(quantiles, i), "SI", &label, &family->quantiles[i].parts) ||
            !take_span(&family->quantiles[i].label, label))
            return false;
    }
    for (Py_ssize_t i = 0; i < buckets; i++) {
        if (!take_span(&family->middles[i], PyTuple_GetItem(middles, i))) return false;
        if (family->middles[i].length > NUMBER_LIMIT) return PyErr_SetString(PyExc_ValueError, "a number too long"), false;
    }
    family->quantiles_count = (uint32_t)count;
    return true;
}

static PyObject *family_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *prepared, *heads[2], *names[2], *buckets[2], *factor, *bounds, *map, *quantiles, *middles;
    int shape, exponent, scale, combine, exemplars;
    double step, scale_step;
    if (keywords != NULL && PyDict_Size(keywords) > 0)
        return PyErr_SetString(PyExc_TypeError, "Family takes what prepare() gives"), NULL;
    if (!PyArg_ParseTuple(args, "O!:Family", &PyTuple_Type, &prepared)) return NULL;
    if (!PyArg_ParseTuple(prepared, "(SSO!)(SSO!)iiOiO!O!ipddO!O!", &heads[0], &names[0], &PyTuple_Type, &buckets[0],
                          &heads[1], &names[1], &PyTuple_Type, &buckets[1], &shape, &exponent, &factor, &scale,
                          &PyTuple_Type, &bounds, &PyTuple_Type, &map, &combine, &exemplars, &step, &scale_step,
                          &PyTuple_Type, &quantiles, &PyTuple_Type, &middles))
        return NULL;
    Py_ssize_t shown = PyTuple_Size(bounds) + 1;
    if (PyTuple_Size(buckets[0]) != shown || PyTuple_Size(buckets[1]) != shown || shown > UINT16_MAX)
        return PyErr_SetString(PyExc_ValueError, "one text per bucket"), NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Family *family = (Family *)alloc(type, 0); /* zeroed */
    if (family == NULL) return NULL;
    pthread_mutex_init(&family->adding, NULL);
    Py_INCREF(prepared);
    family->prepared = prepared;
    family->shape = shape, family->exponent = exponent, family->scale = scale, family->combine = combine;
    family->exemplars = exemplars != 0, family->step = step, family->scale_step = scale_step;
    family->has_factor = factor != Py_None;
    if (family->has_factor) family->factor = PyFloat_AsDouble(factor);
    if (PyErr_Occurred() || !take_layout(&family->layouts[0], heads[0], names[0], buckets[0]) ||
        !take_layout(&family->layouts[1], heads[1], names[1], buckets[1]) || !take_buckets(family, bounds, map) ||
        !take_quantiles(family, quantiles, middles)) {
        Py_DECREF(family);
        return NULL;
    }
    return (PyObject *)family;
}

static void free_retired(Family *family) {
    while (family->retired != NULL) {
        Constant *next = family->retired->next;
        free(family->retired);
        family->retired = next;
    }
}

static void family_dealloc(Family *family) {
    PyTypeObject *type = Py_TYPE((PyObject *)family);
    uint32_t count = atomic_load(&family->series_count);
    for (uint32_t i = 0; i < count; i++) {
        Py_DECREF(((Series *)segments_at(&family->series, i, sizeof(Series)))->labels);
        if (family->constants.chunk[segment_of(i)] != NULL)
            free(atomic_load((_Atomic(Constant *) *)segments_at(&family->constants, i, sizeof(void *))));
    }
    for (int i = 0; i < SEGMENTS; i++) {
        free(family->series.chunk[i]);
        free(family->sources.chunk[i]);
        free(family->constants.chunk[i]);
    }
    free_retired(family);
    free(family->slots);
    free(family->bounds);
    free(family->bucket_map);
    free(family->quantiles);
    free(family->middles);
    free(family->layouts[0].buckets);
    free(family->layouts[1].buckets);
    Py_XDECREF(family->prepared);
    pthread_mutex_destroy(&family->adding);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(family);
    Py_DECREF(type);
}

/* Makes sure that item index has its place; NULL when there is no memory, or too many. */
static void *place(Segments *segments, uint32_t index, size_t size) {
    unsigned segment = segment_of(index);
    if (segment >= SEGMENTS) return NULL;
    if (segments->chunk[segment] == NULL) segments->chunk[segment] = calloc(segment_length(segment), size);
    return segments->chunk[segment] ? segments_at(segments, index, size) : NULL;
}

static bool grow_slots(Family *family, uint32_t count) {
    uint32_t room = family->slots ? family->slots_mask + 1 : 0;
    if (count < room - room / 4) return true;
    uint32_t grown = room ? room * 2 : 8;
    uint32_t *slots = calloc(grown, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = ((Series *)segments_at(&family->series, i, sizeof(Series)))->hash & (grown - 1);
        while (slots[at]) at = (at + 1) & (grown - 1);
        slots[at] = i + 1;
    }
    free(family->slots);
    family->slots = slots, family->slots_mask = grown - 1;
    return true;
}

/* Index of the series; -1 when there is no memory. */
static int64_t find_or_make(Family *family, PyObject *labels, const char *text, uint32_t length, uint32_t hash) {
    uint32_t count = atomic_load(&family->series_count);
    if (!grow_slots(family, count)) return -1;
    uint32_t at = hash & family->slots_mask;
    for (; family->slots[at]; at = (at + 1) & family->slots_mask) {
        const Series *series = segments_at(&family->series, family->slots[at] - 1, sizeof *series);
        if (series->labels == labels) return family->slots[at] - 1;
        if (series->hash == hash && series->length == length && memcmp(series->text, text, length) == 0)
            return family->slots[at] - 1;
    }
    Series *series = place(&family->series, count, sizeof *series);
    if (series == NULL) return -1;
    Py_INCREF(labels);
    *series = (Series){labels, text, length, hash};
    family->slots[at] = count + 1;
    atomic_store_explicit(&family->series_count, count + 1, memory_order_release);
    return count;
}

static PyObject *family_series(Family *family, PyObject *labels) {
    Py_ssize_t length;
    if (!PyUnicode_Check(labels)) return PyErr_SetString(PyExc_TypeError, "labels are a str"), NULL;
    const char *text = PyUnicode_AsUTF8AndSize(labels, &length);
    if (text == NULL) return NULL;
    Py_hash_t hash = PyObject_Hash(labels);
    if (hash == -1) return NULL;
    if (length > INT32_MAX) return PyErr_SetString(PyExc_ValueError, "labels are too long"), NULL;
    pthread_mutex_lock(&family->adding);
    int64_t index = find_or_make(family, labels, text, (uint32_t)length, (uint32_t)hash ^ (uint32_t)(hash >> 32));
    pthread_mutex_unlock(&family->adding);
    return index < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(index);
}

/* A non-negative number below limit; -1 with IndexError when it is none. */
static int64_t index_below(PyObject *object, uint64_t limit, const char *otherwise) {
    long long index = PyLong_AsLongLong(object);
    if (index == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
        PyErr_Clear();
    }
    if (index < 0 || (uint64_t)index >= limit) return PyErr_SetString(PyExc_IndexError, otherwise), -1;
    return index;
}

static PyObject *family_add(Family *family, PyObject *const *args, Py_ssize_t count) {
    if (count != 3) return PyErr_SetString(PyExc_TypeError, "add(series, buffer, cell)"), NULL;
    int64_t series = index_below(args[0], atomic_load(&family->series_count), "there is no such series");
    int64_t buffer = series < 0 ? -1 : index_below(args[1], 1u << 16, "there can be no such cell");
    int64_t cell = buffer < 0 ? -1 : index_below(args[2], (uint64_t)1 << 48, "there can be no such cell");
    if (cell < 0) return NULL;
    pthread_mutex_lock(&family->adding);
    uint32_t index = atomic_load(&family->sources_count);
    Source *source = place(&family->sources, index, sizeof *source);
    if (source != NULL) {
        *source = (Source){(uint32_t)series, (uint32_t)cell, (uint16_t)(cell >> 32), (uint16_t)buffer};
        atomic_store_explicit(&family->sources_count, index + 1, memory_order_release);
    }
    pthread_mutex_unlock(&family->adding);
    if (source == NULL) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static bool printable(const char *text, Py_ssize_t length) {
    for (Py_ssize_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    return length > 0 && length <= CONSTANT_LIMIT;
}

static PyObject *family_constant(Family *family, PyObject *const *args, Py_ssize_t count) {
    if (count != 2) return PyErr_SetString(PyExc_TypeError, "constant(series, text)"), NULL;
    int64_t series = index_below(args[0], atomic_load(&family->series_count), "there is no such series");
    if (series < 0) return NULL;
    if (family->shape != SCALAR)
        return PyErr_SetString(PyExc_ValueError, "a histogram or summary has no single value"), NULL;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(args[1], &length);
    if (text == NULL) return NULL;
    if (!printable(text, length))
        return PyErr_Format(PyExc_ValueError, "a value has 1 to %d printable characters", CONSTANT_LIMIT);
    Constant *constant = malloc(sizeof *constant + (size_t)length);
    if (constant == NULL) return PyErr_NoMemory();
    constant->length = (size_t)length;
    memcpy(constant->text, text, (size_t)length);
    pthread_mutex_lock(&family->adding);
    _Atomic(Constant *) *slot = place(&family->constants, (uint32_t)series, sizeof *slot);
    Constant *before = slot ? atomic_exchange(slot, constant) : NULL;
    atomic_store(&family->has_constants, true);
    if (before != NULL) before->next = family->retired, family->retired = before;
    if (atomic_load(&family->pages) == 0) free_retired(family); /* else a page may be reading one of them */
    pthread_mutex_unlock(&family->adding);
    if (slot == NULL) return free(constant), PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"series", (PyCFunction)(void (*)(void))family_series, METH_O, NULL},
    {"add", (PyCFunction)(void (*)(void))family_add, METH_FASTCALL, NULL},
    {"constant", (PyCFunction)(void (*)(void))family_constant, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, family_new},
    {Py_tp_dealloc, family_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "What is shown, and from which cells; made from what family.prepare() gives."},
    {0, NULL},
};

PyType_Spec family_spec = {
    .name = "tallygate.exposition._render.Family",
    .basicsize = sizeof(Family),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
