/* Row: what the hot path of a program holds on to. */
#include "record.h"

#define QUICK_INDEXES 4

PyTypeObject *RowType;
static PyObject *quick_indexes[QUICK_INDEXES];

PyObject *row_new(Shape *shape, RowRecord *record) {
    Row *row = PyObject_New(Row, RowType);
    if (row == NULL) return NULL;
    book_take(shape->book);
    row->shape = shape;
    row->cells = at(shape->book->segment, record->cells);
    row->index = record->index;
    row->gauges = NULL;
    atomic_init(&row->gauge_epoch, 0);
    return (PyObject *)row;
}

static void row_dealloc(Row *row) {
    PyTypeObject *type = Py_TYPE((PyObject *)row);
    book_drop(row->shape->book);
    PyObject_Free(row);
    Py_DECREF((PyObject *)type);
}

GaugeCell *row_bind_gauges(Row *row) {
    uint32_t epoch = atomic_load(&fork_epoch);
    PyThreadState *state = PyEval_SaveThread();
    GaugeCell *gauges = worker_gauges(row->shape, row->index);
    PyEval_RestoreThread(state);
    if (gauges) {
        row->gauges = gauges;
        atomic_store_explicit(&row->gauge_epoch, epoch, release);
    }
    return gauges;
}

static PyObject *row_record(Row *self, PyObject *const *args, Py_ssize_t count) {
    record_into(self, args, count, -1, -1);
    return none();
}

/* The measure of this index; NULL when there is none, which is counted. */
static inline const Measure *measure_at(const Row *row, PyObject *index) {
    for (int number = 0; number < QUICK_INDEXES; number++) /* small numbers are one object each: no call to read them */
        if (index == quick_indexes[number] && number < (int)row->shape->measure_count)
            return &row->shape->measures[number];
    long long number = PyLong_CheckExact(index) ? PyLong_AsLongLong(index) : -1;
    if (likely(number >= 0 && number < (long long)row->shape->measure_count)) return &row->shape->measures[number];
    PyErr_Clear();
    return NULL;
}

static PyObject *row_add(Row *self, PyObject *const *args, Py_ssize_t count) {
    if (unlikely(count != 2))
        return PyErr_Format(PyExc_TypeError, "add() takes a measure and a value (%zd arguments given)", count);
    if (unlikely(row_closed(self))) return none();
    const Measure *measure = measure_at(self, args[0]);
    int64_t units;
    int outcome = measure ? value_of(measure, args[1], &units) : VALUE_BAD;
    if (likely(outcome == VALUE_GOOD)) {
        int added = measure->kind == KIND_GAUGE
                        ? row_gauge_add(self, measure, units)
                        : cell_add(measure, self->cells, units, adds_alone(self->shape->book));
        outcome = added ? VALUE_GOOD : VALUE_BAD;
    }
    if (unlikely(outcome == VALUE_BAD)) count_dropped(self->shape->book, 1);
    return none();
}

static PyObject *row_set(Row *self, PyObject *const *args, Py_ssize_t count) {
    if (unlikely(count != 2))
        return PyErr_Format(PyExc_TypeError, "set() takes a measure and a value (%zd arguments given)", count);
    if (unlikely(row_closed(self))) return none();
    const Measure *measure = measure_at(self, args[0]);
    int64_t units;
    int outcome = measure && measure->kind == KIND_GAUGE ? value_of(measure, args[1], &units) : VALUE_BAD;
    GaugeCell *gauge = outcome == VALUE_GOOD ? row_gauges(self) : NULL;
    if (likely(gauge != NULL)) {
        atomic_store_explicit(&gauge[measure->offset].value, units, relaxed);
        if (measure->combine != COMBINE_SUM) gauge_stamp(self, measure, gauge + measure->offset);
    } else if (outcome != VALUE_UNSET) {
        count_dropped(self->shape->book, 1);
    }
    return none();
}

static PyObject *row_exemplify(Row *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t trace[2], span;
    if (count < 2) return PyErr_Format(PyExc_TypeError, "exemplify() takes a trace id and a span id");
    if (row_closed(self)) return none();
    if (exemplar_ids(args[0], args[1], trace, &span) != 0) {
        count_dropped(self->shape->book, 1);
        return none();
    }
    exemplar_keep(self->shape, self->cells, trace, span, 1.0);
    for (Py_ssize_t i = 2; i < count && i - 2 < (Py_ssize_t)self->shape->recorded_count; i++) {
        const Measure *measure = &self->shape->recorded[i - 2];
        int64_t units;
        if (value_of(measure, args[i], &units) != VALUE_GOOD || units < 0 || units > OBSERVATION_LIMIT) continue;
        Cell *sum = self->cells + measure->offset;
        const double value = PyFloat_AsDouble(args[i]);
        if (units > 0) exemplar_keep(self->shape, sum, trace, span, value);
        if (measure->kind == KIND_DISTRIBUTION)
            exemplar_keep(self->shape, sum + 1 + bucket_of(measure, units), trace, span, value);
    }
    return none();
}

static PyObject *row_begin(Row *self, PyObject *const *args, Py_ssize_t count) {
    const Measure *measure = self->shape->measure_count ? &self->shape->measures[0] : NULL;
    if (count > 1)
        return PyErr_Format(PyExc_TypeError, "begin() takes one measure at most (%zd arguments given)", count);
    if (count == 1) measure = measure_at(self, args[0]);
    return activity_new(self, gauge_take(self, measure));
}

static PyObject *row_cell(Row *self, void *closure) {
    (void)closure;
    return PyLong_FromLongLong(((char *)self->cells - self->shape->book->segment->base) / 8);
}

static PyMethodDef methods[] = {
    {"record", (PyCFunction)(void (*)(void))row_record, METH_FASTCALL, "Count one record and add these measures."},
    {"add", (PyCFunction)(void (*)(void))row_add, METH_FASTCALL, "Add to one measure alone, by its index."},
    {"set", (PyCFunction)(void (*)(void))row_set, METH_FASTCALL, "Set a gauge in this worker's slot."},
    {"exemplify", (PyCFunction)(void (*)(void))row_exemplify, METH_FASTCALL, "Keep this trace as an exemplar."},
    {"begin", (PyCFunction)(void (*)(void))row_begin, METH_FASTCALL, "Start a clock and add 1 to a gauge of this row."},
    {"form", (PyCFunction)(void (*)(void))form_new, METH_FASTCALL, "What drafts that go to this row share."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getters[] = {
    {"cell", (getter)row_cell, NULL, "Where the row starts in the ledger's memory, in cells.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, row_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_tp_doc, "One row of a table, bound."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.ledger._core.Row", sizeof(Row), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyTypeObject *make_row_type(PyObject *module) {
    for (int number = 0; number < QUICK_INDEXES; number++)
        if ((quick_indexes[number] = PyLong_FromLong(number)) == NULL) return NULL;
    return RowType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
