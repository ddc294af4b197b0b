/* Reading: finds what a library's reply, an object with a __dict__ or a dict, tells of its usage; nothing is imported
 * and nothing is called but the comparison of values. What is not as it nearly always is, is left to others. */
#include "routine.h"

#define MOST_TOKENS ((int64_t)1000000000000) /* as tallygate.wire.tokens.MOST */

PyTypeObject *ReadingType;
PyObject *every_item;
static PyObject *unforeseen_name;

int path_parse(Path *path, PyObject *names) {
    if (!PyTuple_Check(names) || PyTuple_Size(names) < 1 || PyTuple_Size(names) > (Py_ssize_t)MOST_NAMES) {
        PyErr_Format(PyExc_TypeError, "a path is a tuple of 1 to %u names", MOST_NAMES);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(names); i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        if (!PyUnicode_Check(name)) {
            PyErr_SetString(PyExc_TypeError, "the names of a path are strings");
            return -1;
        }
        Py_INCREF(name);
        PyUnicode_InternInPlace(&name);
        path->names[path->length++] = name;
    }
    return 0;
}

void path_clear(Path *path) {
    for (uint32_t i = 0; i < path->length; i++) Py_DECREF(path->names[i]);
}

PyObject *members_of(PyObject *source) {
    if (PyDict_CheckExact(source)) {
        Py_INCREF(source);
        return source;
    }
    PyObject *members = PyObject_GenericGetDict(source, NULL);
    if (members == NULL) PyErr_Clear();
    return members;
}

PyObject *member(PyObject *source, PyObject *name) {
    PyObject *members = members_of(source);
    if (members == NULL) return NULL;
    PyObject *found = PyDict_GetItemWithError(members, name);
    Py_XINCREF(found);
    Py_DECREF(members);
    if (found == NULL && PyErr_Occurred()) PyErr_Clear();
    return found;
}

/* Whether its class foresaw all members of this object. */
static int foreseen(PyObject *source) {
    PyObject *others = PyObject_GetAttr(source, unforeseen_name);
    if (others == NULL) {
        PyErr_Clear();
        return 0;
    }
    int none_other = others == Py_None || (PyDict_CheckExact(others) && PyDict_Size(others) == 0);
    Py_DECREF(others);
    return none_other;
}

/* A number of tokens; 0 when it is none that is surely right. */
static int tokens_of(PyObject *value, int64_t *tokens) {
    if (!PyLong_CheckExact(value)) return 0;
    *tokens = PyLong_AsLongLong(value);
    if (unlikely(*tokens == -1 && PyErr_Occurred())) PyErr_Clear();
    return *tokens >= 0 && *tokens <= MOST_TOKENS;
}

static int count_read(const Reading *self, const Count *count, PyObject *usage, int64_t *read) {
    PyObject *found = member(usage, count->path.names[0]);
    for (uint32_t i = 1; i < count->path.length && found != NULL && found != Py_None; i++) {
        PyObject *outer = found;
        int clear = !self->closed || foreseen(outer);
        found = clear ? member(outer, count->path.names[i]) : NULL;
        Py_DECREF(outer);
        if (!clear) return 0;
    }
    int64_t tokens = 0;
    int good = found == NULL || found == Py_None ? !count->required : tokens_of(found, &tokens);
    Py_XDECREF(found);
    read[count->target] += tokens;
    return good;
}

/* Whether what is found at the rest of a path, None when nothing is, passes. */
static int passes(const Test *test, PyObject *source, uint32_t step) {
    if (step < test->path.length && source != Py_None) {
        if (test->path.names[step] == every_item) {
            if (!PyList_CheckExact(source)) return 0;
            for (Py_ssize_t i = 0; i < PyList_Size(source); i++)
                if (!passes(test, PyList_GetItem(source, i), step + 1)) return 0;
            return 1;
        }
        PyObject *found = member(source, test->path.names[step]);
        int good = passes(test, found ? found : Py_None, step + 1);
        Py_XDECREF(found);
        return good;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(test->values); i++) {
        int equal = PyObject_RichCompareBool(source, PyTuple_GetItem(test->values, i), Py_EQ);
        if (unlikely(equal < 0)) {
            PyErr_Clear();
            return 0;
        }
        if (equal) return test->among;
    }
    return !test->among;
}

int tests_passed(const Tests *tests, PyObject *source) {
    for (uint32_t i = 0; i < tests->count; i++)
        if (!passes(&tests->all[i], source, 0)) return 0;
    return 1;
}

int reading_read(const Reading *self, PyObject *reply, int64_t *read) {
    if (!tests_passed(&self->tests, reply)) return 0;
    PyObject *usage = member(reply, self->usage);
    int good = usage != NULL && usage != Py_None && (!self->closed || foreseen(usage));
    for (uint32_t i = 0; i < READS; i++) read[i] = 0;
    for (uint32_t i = 0; good && i < self->count_count; i++) good = count_read(self, &self->counts[i], usage, read);
    good = good && read[0] <= MOST_TOKENS && read[1] <= MOST_TOKENS && read[2] + read[3] <= read[0] && read[4] <= read[1];
    if (good && read[4] && self->total) { /* a total with the reasoning on top means that the output left it out */
        PyObject *told = member(usage, self->total);
        int64_t total;
        good = told != NULL && tokens_of(told, &total) && total == read[0] + read[1];
        Py_XDECREF(told);
    }
    Py_XDECREF(usage);
    return good;
}

static PyObject *reading_call(PyObject *self, PyObject *reply) {
    int64_t read[READS];
    if (!reading_read((Reading *)self, reply, read)) return none();
    return Py_BuildValue("LLLLL", (long long)read[0], (long long)read[1], (long long)read[2], (long long)read[3],
                         (long long)read[4]);
}

static int parse_counts(Reading *self, PyObject *targets) {
    if (PyTuple_Size(targets) != (Py_ssize_t)READS) {
        PyErr_Format(PyExc_TypeError, "a reading has %u counts", READS);
        return -1;
    }
    for (uint32_t target = 0; target < READS; target++) {
        PyObject *paths = PyTuple_GetItem(targets, target);
        if (!PyTuple_Check(paths) || self->count_count + PyTuple_Size(paths) > (Py_ssize_t)MOST_COUNTS) {
            PyErr_Format(PyExc_TypeError, "a count is a tuple of paths, and there are %u at most", MOST_COUNTS);
            return -1;
        }
        for (Py_ssize_t i = 0; i < PyTuple_Size(paths); i++) {
            Count *count = &self->counts[self->count_count];
            if (path_parse(&count->path, PyTuple_GetItem(paths, i)) != 0) return -1;
            count->target = target;
            count->required = i == 0 && target < 2;
            self->count_count++;
        }
    }
    return 0;
}

int tests_parse(Tests *tests, PyObject *described) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(described); i++) {
        PyObject *path, *values;
        if (tests->count == MOST_TESTS) {
            PyErr_Format(PyExc_ValueError, "a reading has %u tests at most", MOST_TESTS);
            return -1;
        }
        Test *test = &tests->all[tests->count];
        if (!PyArg_ParseTuple(PyTuple_GetItem(described, i), "OO!p", &path, &PyTuple_Type, &values, &test->among) ||
            path_parse(&test->path, path) != 0)
            return -1;
        Py_INCREF(values), test->values = values;
        tests->count++;
    }
    return 0;
}

void tests_clear(Tests *tests) {
    for (uint32_t i = 0; i < MOST_TESTS; i++) {
        path_clear(&tests->all[i].path);
        Py_XDECREF(tests->all[i].values);
    }
}

static PyObject *reading_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *usage, *counts, *tests, *total;
    int closed;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "UO!O!Up", &usage, &PyTuple_Type, &counts, &PyTuple_Type, &tests, &total, &closed))
        return NULL;
    Reading *self = (Reading *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    self->closed = closed;
    Py_INCREF(usage), self->usage = usage;
    if (PyUnicode_GetLength(total)) Py_INCREF(total), self->total = total;
    if (parse_counts(self, counts) != 0 || tests_parse(&self->tests, tests) != 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static void reading_dealloc(Reading *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    for (uint32_t i = 0; i < MOST_COUNTS; i++) path_clear(&self->counts[i].path);
    tests_clear(&self->tests);
    Py_XDECREF(self->usage);
    Py_XDECREF(self->total);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"read", reading_call, METH_O, "What a reply tells, as five numbers; None when it is no ordinary one."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, reading_new},
    {Py_tp_dealloc, reading_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Where replies of one kind tell what they used."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.instrument._core.Reading", sizeof(Reading), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

int make_reading_type(PyObject *module) {
    if ((every_item = PyUnicode_InternFromString("*")) == NULL ||
        (unforeseen_name = PyUnicode_InternFromString("__pydantic_extra__")) == NULL ||
        (ReadingType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL)) == NULL)
        return -1;
    return PyModule_AddType(module, ReadingType);
}
