/* Delta: nearly all events of a stream carry a piece of the content and nothing else; those are seen to here. */
#include "routine.h"

#define MOST_SAYINGS 6u

typedef struct {
    PyObject_HEAD
    Tests tests;
    Path sayings[MOST_SAYINGS];
    uint32_t saying_count;
} Delta;

/* Whether there is anything at the rest of this path. */
static int says(const Path *path, PyObject *source, uint32_t step) {
    if (step == path->length) {
        int something = PyObject_IsTrue(source);
        if (unlikely(something < 0)) PyErr_Clear();
        return something > 0;
    }
    if (path->names[step] == every_item) {
        if (!PyList_CheckExact(source)) return 0;
        for (Py_ssize_t i = 0; i < PyList_Size(source); i++)
            if (says(path, PyList_GetItem(source, i), step + 1)) return 1;
        return 0;
    }
    PyObject *found = member(source, path->names[step]);
    int something = found != NULL && found != Py_None && says(path, found, step + 1);
    Py_XDECREF(found);
    return something;
}

static PyObject *delta_see(Delta *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 3) return PyErr_Format(PyExc_TypeError, "see() takes a draft, a row and an event");
    PyObject *seen = Py_False;
    if (likely(Py_TYPE(args[1]) == ledger->row && PyObject_TypeCheck(args[0], ledger->draft) &&
               ledger->going(args[0]) && tests_passed(&self->tests, args[2]))) {
        for (uint32_t i = 0; seen == Py_False && i < self->saying_count; i++)
            if (says(&self->sayings[i], args[2], 0)) seen = Py_True;
        if (seen == Py_True) ledger->lap(args[0], args[1]);
    }
    Py_INCREF(seen);
    return seen;
}

static PyObject *delta_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *tests, *sayings;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "O!O!", &PyTuple_Type, &tests, &PyTuple_Type, &sayings)) return NULL;
    Delta *self = (Delta *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    int good = tests_parse(&self->tests, tests) == 0;
    if (good && PyTuple_Size(sayings) > (Py_ssize_t)MOST_SAYINGS) {
        PyErr_Format(PyExc_ValueError, "a delta has %u places of content at most", MOST_SAYINGS);
        good = 0;
    }
    for (Py_ssize_t i = 0; good && i < PyTuple_Size(sayings); i++, self->saying_count++)
        good = path_parse(&self->sayings[i], PyTuple_GetItem(sayings, i)) == 0;
    if (good) return (PyObject *)self;
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void delta_dealloc(Delta *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    tests_clear(&self->tests);
    for (uint32_t i = 0; i < MOST_SAYINGS; i++) path_clear(&self->sayings[i]);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"see", (PyCFunction)(void (*)(void))delta_see, METH_FASTCALL,
     "A lap of the draft, recorded into the row, if this event is a piece of content and nothing else; whether it is."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, delta_new},
    {Py_tp_dealloc, delta_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Which events of a stream are a piece of content and nothing else."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.instrument._core.Delta", sizeof(Delta), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

int make_delta_type(PyObject *module) {
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return type == NULL ? -1 : PyModule_AddType(module, type);
}
