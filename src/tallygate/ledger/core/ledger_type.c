/* Ledger: opening one from its schema, and the whole of it as a reader sees it. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

PyTypeObject *LedgerType;

typedef struct {
    PyObject_HEAD
    Book *book;
    PyObject *tables;
} Ledger;

static int64_t power_of_ten(int exponent) {
    int64_t power = 1;
    while (exponent-- > 0) power *= 10;
    return power;
}

/* From (kind, exponent, combine, boundaries). */
static int read_measure(Measure *measure, PyObject *description, uint32_t *cells, uint32_t *columns) {
    int kind, exponent, combine;
    PyObject *bounds;
    if (!PyArg_ParseTuple(description, "iiiO!", &kind, &exponent, &combine, &PyTuple_Type, &bounds)) return -1;
    measure->kind = (uint8_t)kind, measure->combine = (uint8_t)combine;
    measure->multiplier = power_of_ten(-exponent), measure->divisor = power_of_ten(exponent);
    measure->scale = exponent <= 0 ? (double)measure->multiplier : 1.0 / (double)measure->divisor;
    measure->whole_limit = INT64_MAX / measure->multiplier;
    measure->nano_multiplier = power_of_ten(-9 - exponent);
    measure->nano_divisor = 9 + exponent > 18 ? INT64_MAX : power_of_ten(9 + exponent);
    measure->bound_count = (uint32_t)PyTuple_Size(bounds);
    measure->bounds = calloc(measure->bound_count + 1, sizeof *measure->bounds);
    if (measure->bounds == NULL) return PyErr_NoMemory(), -1;
    for (uint32_t i = 0; i < measure->bound_count; i++) {
        measure->bounds[i] = PyLong_AsLongLong(PyTuple_GetItem(bounds, i));
        if (measure->bounds[i] == -1 && PyErr_Occurred()) return -1;
    }
    measure->offset = kind == KIND_GAUGE ? *columns : *cells;
    if (kind == KIND_GAUGE) *columns += 1;
    else *cells += kind == KIND_SUM ? 1 : 2 + measure->bound_count;
    return 0;
}

/* From (schema, dimensions, budget, measures). */
static int read_table(Shape *shape, PyObject *description) {
    PyObject *schema, *measures;
    unsigned int dimensions, budget;
    if (!PyArg_ParseTuple(description, "OIIO!", &schema, &dimensions, &budget, &PyTuple_Type, &measures)) return -1;
    shape->measure_count = (uint32_t)PyTuple_Size(measures);
    shape->measures = calloc(shape->measure_count + 1, sizeof *shape->measures);
    shape->recorded = calloc(shape->measure_count + 1, sizeof *shape->recorded);
    shape->gauge_combine = calloc(shape->measure_count + 1, 1);
    if (!shape->measures || !shape->recorded || !shape->gauge_combine) return PyErr_NoMemory(), -1;
    shape->form = (RowForm){.dimensions = dimensions, .budget = budget, .cells = 1};
    for (uint32_t i = 0; i < shape->measure_count; i++) {
        Measure *measure = &shape->measures[i];
        if (read_measure(measure, PyTuple_GetItem(measures, i), &shape->form.cells, &shape->gauge_count) != 0)
            return -1;
        if (measure->kind == KIND_GAUGE) shape->gauge_combine[measure->offset] = measure->combine;
        else shape->recorded[shape->recorded_count++] = *measure;
    }
    return 0;
}

static Book *read_book(PyObject *descriptions) {
    Book *book = calloc(1, sizeof *book);
    if (book == NULL) return (void)PyErr_NoMemory(), NULL;
    atomic_init(&book->references, 1);
    book->table_count = (uint32_t)PyTuple_Size(descriptions);
    book->tables = calloc(book->table_count + 1, sizeof *book->tables);
    if (book->tables == NULL) PyErr_NoMemory();
    for (uint32_t number = 0; book->tables && number < book->table_count; number++) {
        book->tables[number].book = book, book->tables[number].number = number;
        if (read_table(&book->tables[number], PyTuple_GetItem(descriptions, number)) != 0) break;
    }
    if (PyErr_Occurred()) {
        book_drop(book);
        return NULL;
    }
    return book;
}

static PyObject *refused(const char *path, const Problem *problem) {
    const char *cause = problem->cause ? problem->cause : strerror(problem->error);
    if (path) PyErr_Format(ledger_error, "cannot open the ledger %s: %s; %s", path, cause, problem->mend);
    else PyErr_Format(ledger_error, "cannot open a ledger in memory: %s; %s", cause, problem->mend);
    return NULL;
}

static PyObject *ledger_of(Book *book, PyObject *descriptions) {
    Ledger *ledger = PyObject_New(Ledger, LedgerType);
    if (ledger == NULL) {
        book_drop(book);
        return NULL;
    }
    ledger->book = book;
    ledger->tables = PyTuple_New(book->table_count);
    for (uint32_t number = 0; ledger->tables && number < book->table_count; number++) {
        PyObject *schema = PyTuple_GetItem(PyTuple_GetItem(descriptions, number), 0);
        PyObject *table = table_new(&book->tables[number], schema);
        if (table == NULL || PyTuple_SetItem(ledger->tables, number, table) != 0) Py_CLEAR(ledger->tables);
    }
    if (ledger->tables) return (PyObject *)ledger;
    Py_DECREF((PyObject *)ledger);
    return NULL;
}

PyObject *ledger_open(PyObject *module, PyObject *args) {
    const char *path, *schema;
    Py_ssize_t path_size, schema_size;
    unsigned long long capacity;
    unsigned int workers;
    PyObject *descriptions;
    Problem problem = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "z#KIy#O!", &path, &path_size, &capacity, &workers, &schema, &schema_size,
                          &PyTuple_Type, &descriptions))
        return NULL;
    if (path && strlen(path) != (size_t)path_size)
        return refused(path, &(Problem){0, "the path holds a zero byte", "choose another path"});
    Book *book = read_book(descriptions);
    RowForm *forms = book ? calloc(book->table_count + 1, sizeof *forms) : NULL;
    if (forms == NULL) return book ? (book_drop(book), PyErr_NoMemory()) : NULL;
    for (uint32_t number = 0; number < book->table_count; number++) forms[number] = book->tables[number].form;
    book->unshared = path == NULL;
    PyThreadState *state = PyEval_SaveThread();
    book->segment =
        segment_open(path, capacity, workers, schema, (uint32_t)schema_size, forms, book->table_count, &problem);
    int claimed = book->segment ? worker_claim(book) : -1;
    PyEval_RestoreThread(state);
    free(forms);
    if (claimed == 0) return ledger_of(book, descriptions);
    if (book->segment && claimed == EUSERS)
        problem = (Problem){0, "every worker slot is taken by a live process",
                            "stop some of them, or have the file made anew with a larger max_workers"};
    else if (book->segment)
        problem = (Problem){claimed, NULL, "look whether a process that uses it is stopped, or choose another path"};
    book_drop(book);
    return refused(path, &problem);
}

static void ledger_dealloc(Ledger *ledger) {
    PyTypeObject *type = Py_TYPE((PyObject *)ledger);
    Py_XDECREF(ledger->tables);
    book_drop(ledger->book);
    PyObject_Free(ledger);
    Py_DECREF((PyObject *)type);
}

static int ledger_buffer(Ledger *self, Py_buffer *view, int flags) {
    Segment *segment = self->book->segment;
    if (PyBuffer_FillInfo(view, (PyObject *)self, segment->base, (Py_ssize_t)segment->capacity, 1, flags) != 0)
        return -1;
    return 0;
}

static PyObject *ledger_memory(Ledger *self, void *closure) {
    (void)closure;
    PyObject *view = PyMemoryView_FromObject((PyObject *)self),
             *cast = view ? PyObject_CallMethod(view, "cast", "s", "q") : NULL;
    Py_XDECREF(view);
    return cast;
}

static PyObject *ledger_tables(Ledger *self, void *closure) {
    (void)closure;
    Py_INCREF(self->tables);
    return self->tables;
}

static PyObject *ledger_exemplars(Ledger *self, PyObject *unused) {
    (void)unused;
    return exemplars_list(self->book);
}

static PyObject *ledger_statistics(Ledger *self, PyObject *unused) {
    (void)unused;
    Segment *segment = self->book->segment;
    Header *header = segment->header;
    unsigned long long rows = 0;
    PyThreadState *state = PyEval_SaveThread();
    for (uint32_t number = 0; number < self->book->table_count; number++) rows += rows_known(segment, number) - 1;
    uint32_t workers = workers_alive(segment);
    PyEval_RestoreThread(state);
    return PyObject_CallFunction(statistics_type, "KLLKKI", rows,
                                 (long long)atomic_load_explicit(&header->overflowed, relaxed),
                                 (long long)atomic_load_explicit(&header->dropped, relaxed),
                                 (unsigned long long)atomic_load_explicit(&header->used, relaxed),
                                 (unsigned long long)segment->capacity, workers);
}

static PyObject *ledger_close(Ledger *self, PyObject *unused) {
    (void)unused;
    PyThreadState *state = PyEval_SaveThread();
    book_close(self->book);
    PyEval_RestoreThread(state);
    return none();
}

static PyMethodDef methods[] = {
    {"exemplars", (PyCFunction)ledger_exemplars, METH_NOARGS, "All exemplars that are set."},
    {"statistics", (PyCFunction)ledger_statistics, METH_NOARGS, "How the ledger itself is doing."},
    {"close", (PyCFunction)ledger_close, METH_NOARGS,
     "Give this worker's gauges back; recording does nothing from now on."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getters[] = {
    {"tables", (getter)ledger_tables, NULL, "The tables, in the order of the schema.", NULL},
    {"memory", (getter)ledger_memory, NULL, "The live cells of the whole segment, format 'q', read-only.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, ledger_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_bf_getbuffer, ledger_buffer},
    {Py_tp_doc, "All tables over one segment."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.ledger._core.Ledger", sizeof(Ledger), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyTypeObject *make_ledger_type(PyObject *module) {
    return LedgerType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
