/* Batch: the start of a draft; its last measures, its end and records into rows of other tables in one call. */
#include "draft.h"

#define MOST_VALUES 32u
#define MOST_LINES  16u
#define MOST_CELLS  64u

PyTypeObject *BatchType;

typedef struct { /* a value, or the difference of two */
    int32_t from; /* -1: none is taken off */
    uint32_t value;
} Source;

typedef struct { /* one row; what it records lies side by side, so that the memory comes at once */
    Cell *cells;
    const Book *book;
    uint32_t width;
} Line;

typedef struct {
    Source source;
    const Measure *measure;
    Spot spot;
} Record;

typedef struct {
    PyObject_HEAD
    Form *form;
    PyObject *owner; /* of the drafts it starts */
    uint32_t value_count, put_count, line_count, record_count;
    uint32_t measures[MOST_MEASURES]; /* of the draft */
    Source sources[MOST_MEASURES];    /* of these */
    Line lines[MOST_LINES];
    Row *rows[MOST_LINES]; /* what the lines lie in lives as long as these */
    Row *left;             /* NULL, or its gauge goes down by 1 at the end */
    Record *records;
} Batch;

static int value_index(Batch *batch, PyObject *number, uint32_t *index) {
    long value = PyLong_AsLong(number);
    if (value == -1 && PyErr_Occurred()) return -1;
    if (value < 0 || value >= (long)MOST_VALUES) {
        PyErr_Format(PyExc_IndexError, "the values of a batch are numbered from 0 to %u", MOST_VALUES - 1);
        return -1;
    }
    *index = (uint32_t)value;
    if (*index >= batch->value_count) batch->value_count = *index + 1;
    return 0;
}

static int parse_source(Batch *batch, PyObject *described, Source *source) {
    source->from = -1;
    if (PyLong_Check(described)) return value_index(batch, described, &source->value);
    PyObject *from, *to;
    uint32_t index;
    if (!PyTuple_Check(described)) {
        PyErr_SetString(PyExc_TypeError, "the source of a measure is a value's number, or a pair of them");
        return -1;
    }
    if (!PyArg_ParseTuple(described, "OO", &from, &to) || value_index(batch, from, &index) != 0) return -1;
    source->from = (int32_t)index;
    return value_index(batch, to, &source->value);
}

static int parse_puts(Batch *batch, const Form *form, PyObject *puts) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(puts); i++) {
        PyObject *measure, *source;
        if (batch->put_count == MOST_MEASURES) {
            PyErr_Format(PyExc_ValueError, "drafts have %u measures at most", MOST_MEASURES);
            return -1;
        }
        uint32_t put = batch->put_count++;
        if (!PyArg_ParseTuple(PyTuple_GetItem(puts, i), "OO", &measure, &source) ||
            index_in(form, measure, &batch->measures[put]) != 0 ||
            parse_source(batch, source, &batch->sources[put]) != 0)
            return -1;
    }
    return 0;
}

static int parse_line(Batch *batch, Row *row, PyObject *sources) {
    uint32_t width = (uint32_t)PyTuple_Size(sources);
    if (batch->line_count == MOST_LINES || width > row->shape->recorded_count) {
        PyErr_Format(PyExc_ValueError, "a batch has %u rows at most, and no more sources than a row has measures",
                     MOST_LINES);
        return -1;
    }
    if (batch->put_count + batch->record_count + width > MOST_CELLS) {
        PyErr_Format(PyExc_ValueError, "a batch writes %u measures at most", MOST_CELLS);
        return -1;
    }
    Record *records = PyMem_Realloc(batch->records, (batch->record_count + width + 1) * sizeof(Record));
    if (records == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    batch->records = records;
    Py_INCREF((PyObject *)row);
    batch->rows[batch->line_count] = row;
    batch->lines[batch->line_count++] = (Line){row->cells, row->shape->book, width};
    for (uint32_t i = 0; i < width; i++) {
        Record *record = &batch->records[batch->record_count++];
        record->measure = &row->shape->recorded[i];
        record->spot = spot_of(record->measure, row->cells);
        if (parse_source(batch, PyTuple_GetItem(sources, i), &record->source) != 0) return -1;
    }
    return 0;
}

static int parse_lines(Batch *batch, PyObject *lines) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(lines); i++) {
        PyObject *row, *sources;
        if (!PyArg_ParseTuple(PyTuple_GetItem(lines, i), "O!O!", RowType, &row, &PyTuple_Type, &sources) ||
            parse_line(batch, (Row *)row, sources) != 0)
            return -1;
    }
    return 0;
}

PyObject *batch_new(Form *form, PyObject *const *args, Py_ssize_t count) {
    if (count != 4 || !PyTuple_Check(args[1]) || !PyTuple_Check(args[2]) ||
        (args[3] != Py_None && Py_TYPE(args[3]) != RowType))
        return PyErr_Format(PyExc_TypeError, "batch() takes an owner, a tuple of measures, a tuple of rows and a row or None");
    if (args[3] != Py_None && ((Row *)args[3])->shape->measures->kind != KIND_GAUGE)
        return PyErr_Format(PyExc_TypeError, "the first measure of the row that a batch leaves is a gauge");
    Batch *batch = (Batch *)PyType_GenericAlloc(BatchType, 0);
    if (batch == NULL) return NULL;
    Py_INCREF((PyObject *)form), batch->form = form;
    Py_INCREF(args[0]), batch->owner = args[0];
    if (args[3] != Py_None) Py_INCREF(args[3]), batch->left = (Row *)args[3];
    if (parse_puts(batch, form, args[1]) != 0 || parse_lines(batch, args[2]) != 0) {
        Py_DECREF((PyObject *)batch);
        return NULL;
    }
    return (PyObject *)batch;
}

static int batch_traverse(Batch *batch, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)batch->form);
    Py_VISIT(batch->owner);
    Py_VISIT((PyObject *)Py_TYPE((PyObject *)batch));
    return 0;
}

static int batch_clear(Batch *batch) {
    PyObject *owner = batch->owner;
    batch->owner = none();
    Py_XDECREF(owner);
    return 0;
}

static void batch_dealloc(Batch *batch) {
    PyTypeObject *type = Py_TYPE((PyObject *)batch);
    PyObject_GC_UnTrack(batch);
    for (uint32_t i = 0; i < batch->line_count; i++) Py_DECREF((PyObject *)batch->rows[i]);
    Py_XDECREF((PyObject *)batch->left);
    PyMem_Free(batch->records);
    Py_XDECREF((PyObject *)batch->form);
    Py_XDECREF(batch->owner);
    PyObject_GC_Del(batch);
    Py_DECREF((PyObject *)type);
}

typedef struct { /* what close() was given; floats, which most are, are read once */
    PyObject *const *objects;
    uint32_t floats; /* bits */
    double numbers[MOST_VALUES];
} Given;

static void read_floats(Given *given, uint32_t count) {
    given->floats = 0;
    for (uint32_t i = 0; i < count; i++)
        if (PyFloat_CheckExact(given->objects[i])) {
            given->numbers[i] = PyFloat_AsDouble(given->objects[i]);
            given->floats |= 1u << i;
        }
}

static inline int is_float(const Given *given, uint32_t value) { return given->floats >> value & 1; }

static int difference_of(const Given *given, const Source *source, const Measure *measure, int64_t *units) {
    PyObject *value = given->objects[source->value], *from = given->objects[source->from];
    if (value == Py_None || from == Py_None) return VALUE_UNSET;
    PyObject *difference = PyNumber_Subtract(value, from);
    if (difference == NULL) {
        PyErr_Clear();
        return VALUE_BAD;
    }
    int outcome = value_of(measure, difference, units);
    Py_DECREF(difference);
    return outcome;
}

static inline int value_from(const Given *given, const Source *source, const Measure *measure, int64_t *units) {
    uint32_t value = source->value;
    if (source->from < 0)
        return is_float(given, value) ? value_of_float(measure, given->numbers[value], units)
                                      : value_of(measure, given->objects[value], units);
    if (likely(is_float(given, value) && is_float(given, (uint32_t)source->from)))
        return value_of_float(measure, given->numbers[value] - given->numbers[source->from], units);
    return difference_of(given, source, measure, units);
}

static PyObject *batch_start(Batch *self, PyObject *unused) {
    (void)unused;
    Draft *draft = draft_new(self->form, self->owner, Py_None);
    if (draft == NULL) return NULL;
    PyObject *started = draft_start(draft, NULL);
    Py_DECREF((PyObject *)draft);
    return started;
}

static inline void leave(const Batch *batch) {
    Row *row = batch->left;
    if (row && !row_closed(row) && unlikely(!row_gauge_add(row, row->shape->measures, -1)))
        count_dropped(row->shape->book, 1);
}

static PyObject *batch_close(Batch *self, PyObject *const *args, Py_ssize_t count) {
    if (unlikely(count != (Py_ssize_t)self->value_count + 1))
        return PyErr_Format(PyExc_TypeError, "close() takes a draft and %u values (%zd arguments given)",
                            self->value_count, count);
    const Shape *shape = self->form->row->shape;
    Draft *draft = (Draft *)args[0];
    if (unlikely(!PyObject_TypeCheck(args[0], DraftType) || draft->form->row->shape != shape))
        return PyErr_Format(PyExc_TypeError, "close() takes a draft to the batch's own table");
    if (unlikely(draft_over(draft))) {
        leave(self);
        Py_INCREF(Py_False);
        return Py_False;
    }
    Given given;
    Growth growths[MOST_CELLS + MOST_LINES];
    Record *record = self->records;
    uint32_t growing = 0;
    int alone = 1;
    int64_t units, dropped = 0;
    const Form *form = self->form; /* all that is needed soon comes while the values are read */
    uint32_t usual = atomic_load_explicit(&form->usual, relaxed);
    for (const Sum *sum = form->sums; sum < form->sums + form->sum_count; sum++) __builtin_prefetch(sum);
    for (uint32_t bits = usual; bits; bits &= bits - 1) __builtin_prefetch(&form->spots[__builtin_ctz(bits)]);
    for (uint32_t i = 0; i < self->record_count; i++) spot_near(&record[i].spot);
    given.objects = args + 1;
    read_floats(&given, self->value_count);
    for (uint32_t bits = usual; bits; bits &= bits - 1) spot_near(&form->spots[__builtin_ctz(bits)]);
    for (uint32_t i = 0; i < self->put_count; i++) {
        uint32_t index = self->measures[i];
        int outcome = value_from(&given, &self->sources[i], &shape->recorded[index], &units);
        if (likely(outcome == VALUE_GOOD)) put_units(draft, index, units);
        dropped += outcome == VALUE_BAD;
    }
    for (uint32_t i = 0; i < self->line_count && likely(!draft_inherited(draft)); i++) {
        const Line *line = &self->lines[i];
        Record *end = record + line->width;
        if (unlikely(atomic_load_explicit(&line->book->closed, relaxed))) {
            record = end;
            continue;
        }
        alone &= adds_alone(line->book);
        growths[growing++] = (Growth){line->cells, NULL, 1};
        for (; record < end; record++) {
            int outcome = value_from(&given, &record->source, record->measure, &units);
            if (likely(outcome == VALUE_GOOD))
                outcome = growth_at(&record->spot, record->measure, units, &growths[growing]) ? VALUE_GOOD : VALUE_BAD;
            growing += outcome == VALUE_GOOD;
            dropped += outcome == VALUE_BAD;
        }
    }
    dropped += grow_all(growths, growing, alone);
    if (unlikely(dropped)) count_dropped(shape->book, dropped);
    if (draft_leave(draft) != 0) return NULL;
    leave(self);
    Py_INCREF(Py_True);
    return Py_True;
}

static PyMethodDef methods[] = {
    {"start", (PyCFunction)batch_start, METH_NOARGS, "A draft for the owner, made and started where it is called."},
    {"close", (PyCFunction)(void (*)(void))batch_close, METH_FASTCALL, "End a draft, and record into all rows."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, batch_dealloc},
    {Py_tp_traverse, batch_traverse},
    {Py_tp_clear, batch_clear},
    {Py_tp_methods, methods},
    {Py_tp_doc, "The end of a draft, and records into rows of other tables."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.ledger._core.Batch", sizeof(Batch), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                               Py_TPFLAGS_IMMUTABLETYPE,
                           slots};

PyTypeObject *make_batch_type(PyObject *module) {
    return BatchType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
