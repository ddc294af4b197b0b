/* Table: from dimension values, as Python strings, to a row; and the rows as a reader sees them. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

PyTypeObject *TableType;
static hashfunc string_hash; /* str's own: cached in the string, whatever a subclass says */

typedef struct {
    Row *row;
    PyObject *keys[];
} Entry;

/* Open addressing. Readers take no lock: an entry is there or not, and a map that was outgrown stays readable. */
typedef struct Map {
    struct Map *outgrown;
    size_t mask, used;
    struct {
        uint64_t hash;
        Entry *_Atomic entry;
    } spots[];
} Map;

typedef struct {
    PyObject_HEAD
    Shape *shape;
    PyObject *schema;
    Map *_Atomic map;
    Row *overflow;
} Table;

static Map *map_new(size_t size, Map *outgrown) {
    Map *map = calloc(1, sizeof *map + size * sizeof map->spots[0]);
    if (map == NULL) return NULL;
    map->mask = size - 1;
    map->outgrown = outgrown;
    return map;
}

static inline int is_string(PyObject *value) { return likely(PyUnicode_CheckExact(value)) || PyUnicode_Check(value); }

static inline int hash_of(PyObject *const *values, Py_ssize_t count, uint64_t *hash) {
    uint64_t sum = 0x9E3779B97F4A7C15u;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (unlikely(!is_string(values[i]))) return -1;
        sum = (sum ^ (uint64_t)string_hash(values[i])) * 0xD6E8FEB86659FD93u;
        sum ^= sum >> 32;
    }
    *hash = sum;
    return 0;
}

static inline int same(const Entry *entry, PyObject *const *values, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++)
        if (entry->keys[i] != values[i] && PyUnicode_Compare(entry->keys[i], values[i]) != 0) return 0;
    return 1;
}

static inline Row *map_find(Map *map, uint64_t hash, PyObject *const *values, Py_ssize_t count) {
    for (size_t spot = hash & map->mask;; spot = (spot + 1) & map->mask) {
        Entry *entry = atomic_load_explicit(&map->spots[spot].entry, acquire);
        if (entry == NULL) return NULL;
        if (likely(map->spots[spot].hash == hash && same(entry, values, count))) return entry->row;
    }
}

static void map_put(Map *map, uint64_t hash, Entry *entry) {
    size_t spot = hash & map->mask;
    while (atomic_load_explicit(&map->spots[spot].entry, relaxed)) spot = (spot + 1) & map->mask;
    map->spots[spot].hash = hash;
    atomic_store_explicit(&map->spots[spot].entry, entry, release);
    map->used++;
}

/* Names mutex held. */
static int map_insert(Table *table, uint64_t hash, Entry *entry) {
    Map *map = atomic_load_explicit(&table->map, relaxed);
    if ((map->used + 1) * 3 > map->mask * 2) {
        Map *bigger = map_new((map->mask + 1) * 2, map);
        if (bigger == NULL) return -1;
        for (size_t i = 0; i <= map->mask; i++) {
            Entry *kept = atomic_load_explicit(&map->spots[i].entry, relaxed);
            if (kept) map_put(bigger, map->spots[i].hash, kept);
        }
        atomic_store_explicit(&table->map, bigger, release);
#ifndef Py_GIL_DISABLED /* with the GIL nobody can be reading it */
        bigger->outgrown = NULL;
        free(map);
#endif
        map = bigger;
    }
    map_put(map, hash, entry);
    return 0;
}

static void entry_free(Entry *entry, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) Py_DECREF(entry->keys[i]);
    Py_DECREF((PyObject *)entry->row);
    free(entry);
}

/* Remember the row under these names. The row that is remembered, a new reference. */
static PyObject *remember(Table *table, uint64_t hash, PyObject *const *values, Py_ssize_t count, PyObject *row) {
    Entry *entry = malloc(sizeof *entry + (size_t)count * sizeof(PyObject *));
    if (entry == NULL) return row;
    Py_INCREF(row);
    entry->row = (Row *)row;
    for (Py_ssize_t i = 0; i < count; i++) {
        entry->keys[i] = PyUnicode_FromObject(values[i]); /* itself, or a plain copy of a subclass */
        if (entry->keys[i] == NULL) {
            PyErr_Clear();
            entry_free(entry, i);
            return row;
        }
    }
    pthread_mutex_lock(&names_mutex);
    Row *known = map_find(atomic_load_explicit(&table->map, relaxed), hash, values, count);
    int kept = known == NULL && map_insert(table, hash, entry) == 0;
    pthread_mutex_unlock(&names_mutex);
    if (kept) return row;
    entry_free(entry, count);
    if (known == NULL) return row;
    Py_DECREF(row);
    Py_INCREF((PyObject *)known);
    return (PyObject *)known;
}

static PyObject *overflow(Table *table, int count_it) {
    if (count_it) atomic_fetch_add_explicit(&table->shape->book->segment->header->overflowed, 1, relaxed);
    Py_INCREF((PyObject *)table->overflow);
    return (PyObject *)table->overflow;
}

static PyObject *row_slowly(Table *table, PyObject *const *args, Py_ssize_t count, uint64_t hash, int strings) {
    Shape *shape = table->shape;
    Values values;
    if (count != (Py_ssize_t)shape->form.dimensions)
        return PyErr_Format(PyExc_TypeError, "this table has %u dimensions, %zd values given", shape->form.dimensions,
                            count);
    if (!strings || values_pack(&values, args, count) != 0) return overflow(table, 1);
    PyThreadState *state = PyEval_SaveThread();
    RowRecord *record = row_find_or_make(shape->book->segment, shape->number, &shape->form, &values);
    PyEval_RestoreThread(state);
    int same_values = record->size == values.size && memcmp(record->values, values.bytes, values.size) == 0;
    int exact = values.exact;
    values_free(&values);
    if (!same_values) return overflow(table, 0); /* counted already */
    PyObject *row = record->index == 0 ? overflow(table, 0) : row_new(shape, record);
    return row && exact ? remember(table, hash, args, count, row) : row;
}

static PyObject *table_row(Table *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t hash = 0;
    int strings = hash_of(args, count, &hash) == 0;
    if (likely(strings && count == (Py_ssize_t)self->shape->form.dimensions)) {
        Row *row = map_find(atomic_load_explicit(&self->map, acquire), hash, args, count);
        if (likely(row != NULL)) {
            Py_INCREF((PyObject *)row);
            return (PyObject *)row;
        }
    }
    return row_slowly(self, args, count, hash, strings);
}

/* ---- reading ---- */

static PyObject *values_of(const RowRecord *record, uint32_t dimensions) {
    PyObject *values = PyTuple_New(dimensions);
    const unsigned char *next = record->values, *end = record->values + record->size;
    for (uint32_t i = 0; values && i < dimensions; i++) {
        Py_ssize_t size = end - next >= 2 ? next[0] | next[1] << 8 : 0;
        if (end - next < 2 || size > end - next - 2) size = 0, next = end - 2; /* a damaged file */
        PyObject *value = PyUnicode_DecodeUTF8((const char *)next + 2, size, "replace");
        if (value == NULL || PyTuple_SetItem(values, i, value) != 0) Py_CLEAR(values);
        next += 2 + size;
    }
    return values;
}

static PyObject *view_of(const Shape *shape, const RowRecord *record) {
    PyObject *values = values_of(record, shape->form.dimensions);
    if (values == NULL) return NULL;
    return PyObject_CallFunction(row_view_type, "INKd", record->index, values, (unsigned long long)record->cells / 8,
                                 record->created);
}

static PyObject *table_rows(Table *self, PyObject *const *args, Py_ssize_t count) {
    Shape *shape = self->shape;
    Segment *segment = shape->book->segment;
    Py_ssize_t start = 0, limit = -1;
    if (count > 2)
        return PyErr_Format(PyExc_TypeError, "rows() takes a start and a limit (%zd arguments given)", count);
    if (count >= 1 && (start = PyLong_AsSsize_t(args[0])) < 0) {
        if (PyErr_Occurred()) return NULL;
        start = 0;
    }
    if (count == 2 && (limit = PyLong_AsSsize_t(args[1])) < 0 && PyErr_Occurred()) return NULL;
    PyThreadState *state = PyEval_SaveThread();
    pthread_mutex_lock(&segment->mutex);
    index_sync(segment, shape->number);
    Index *index = &segment->indexes[shape->number];
    Py_ssize_t found = (Py_ssize_t)index->count > start ? (Py_ssize_t)index->count - start : 0;
    if (limit >= 0 && found > limit) found = limit;
    RowRecord **records = malloc(((size_t)found + 1) * sizeof *records);
    if (records && found) memcpy(records, index->rows + start, (size_t)found * sizeof *records);
    pthread_mutex_unlock(&segment->mutex);
    PyEval_RestoreThread(state);
    if (records == NULL) return PyErr_NoMemory();
    PyObject *list = PyList_New(found);
    for (Py_ssize_t i = 0; list && i < found; i++) {
        PyObject *view = view_of(shape, records[i]);
        if (view == NULL || PyList_SetItem(list, i, view) != 0) Py_CLEAR(list);
    }
    free(records);
    return list;
}

static PyObject *table_gauges(Table *self, PyObject *unused) {
    (void)unused;
    Shape *shape = self->shape;
    PyThreadState *state = PyEval_SaveThread();
    uint32_t rows = rows_known(shape->book->segment, shape->number);
    PyEval_RestoreThread(state);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)rows * shape->gauge_count * 8);
    if (bytes == NULL) return NULL;
    if (shape->gauge_count) {
        int64_t *out = (int64_t *)(void *)PyBytes_AsString(bytes);
        state = PyEval_SaveThread();
        gauges_combine(shape, out, rows);
        PyEval_RestoreThread(state);
    }
    PyObject *view = PyMemoryView_FromObject(bytes), *cast = view ? PyObject_CallMethod(view, "cast", "s", "q") : NULL;
    Py_DECREF(bytes);
    Py_XDECREF(view);
    return cast;
}

/* ---- the type ---- */

PyObject *table_new(Shape *shape, PyObject *schema) {
    Segment *segment = shape->book->segment;
    RowRecord *first = at(segment, atomic_load_explicit(&segment->tables[shape->number].first_row, acquire));
    Table *table = PyObject_New(Table, TableType);
    if (table == NULL) return NULL;
    book_take(shape->book);
    Py_INCREF(schema);
    table->shape = shape;
    table->schema = schema;
    atomic_init(&table->map, map_new(64, NULL));
    table->overflow = (Row *)row_new(shape, first);
    if (table->overflow == NULL || atomic_load_explicit(&table->map, relaxed) == NULL) {
        Py_DECREF((PyObject *)table);
        return PyErr_NoMemory();
    }
    return (PyObject *)table;
}

static void table_dealloc(Table *table) {
    PyTypeObject *type = Py_TYPE((PyObject *)table);
    Map *map = atomic_load_explicit(&table->map, relaxed);
    for (size_t i = 0; map && i <= map->mask; i++) {
        Entry *entry = atomic_load_explicit(&map->spots[i].entry, relaxed);
        if (entry) entry_free(entry, (Py_ssize_t)table->shape->form.dimensions);
    }
    while (map) {
        Map *outgrown = map->outgrown;
        free(map);
        map = outgrown;
    }
    Py_XDECREF((PyObject *)table->overflow);
    Py_DECREF(table->schema);
    book_drop(table->shape->book);
    PyObject_Free(table);
    Py_DECREF((PyObject *)type);
}

static PyObject *table_schema(Table *self, void *closure) {
    (void)closure;
    Py_INCREF(self->schema);
    return self->schema;
}

/* The collector of garbage watches what a class statement makes; drafts, which hold nothing that leads back to them,
 * come and go faster unwatched. */
static PyObject *table_draft_kind(PyObject *self, PyObject *behaviour) {
    (void)self;
    if (!PyType_Check(behaviour)) return PyErr_Format(PyExc_TypeError, "draft_kind() takes a class, not %R", behaviour);
    PyObject *kind = NULL, *bases = PyTuple_Pack(2, behaviour, (PyObject *)DraftType);
    PyObject *module = PyObject_GetAttrString(behaviour, "__module__"), *own = PyType_GetName((PyTypeObject *)behaviour);
    PyObject *name = module && own ? PyUnicode_FromFormat("%U.%U", module, own) : NULL;
    PyType_Slot nothing_more[] = {{0, NULL}};
    PyType_Spec spec = {NULL, 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, nothing_more};
    if (bases && name && (spec.name = PyUnicode_AsUTF8AndSize(name, NULL)) != NULL)
        kind = PyType_FromSpecWithBases(&spec, bases);
    Py_XDECREF(bases), Py_XDECREF(module), Py_XDECREF(own), Py_XDECREF(name);
    return kind;
}

static PyMethodDef methods[] = {
    {"draft_kind", table_draft_kind, METH_O, "The class of drafts to its rows that behave so."},
    {"row", (PyCFunction)(void (*)(void))table_row, METH_FASTCALL, "Find or make the row of these dimension values."},
    {"rows", (PyCFunction)(void (*)(void))table_rows, METH_FASTCALL, "The rows from this index on, whoever made them."},
    {"gauges", (PyCFunction)table_gauges, METH_NOARGS, "Combined gauges of all rows: signed 64-bit, row-major."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getters[] = {
    {"schema", (getter)table_schema, NULL, "The TableSchema it was opened with.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, table_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_tp_doc, "The rows of one fact."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.ledger._core.Table", sizeof(Table), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyTypeObject *make_table_type(PyObject *module) {
    string_hash = (hashfunc)PyType_GetSlot(&PyUnicode_Type, Py_tp_hash);
    return TableType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
