/* Routine: how calls like one before are recorded. RoutineCall: one of them. */
#include "routine.h"

PyTypeObject *RoutineType, *RoutineCallType;

/* ---- how calls like one before are recorded ---- */

static int parse_guards(Routine *self, PyObject *guards) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(guards); i++) {
        Guard *guard = &self->guards[i];
        PyObject *dict;
        if (i == (Py_ssize_t)MOST_GUARDS) {
            PyErr_Format(PyExc_ValueError, "a routine has %u guards at most", MOST_GUARDS);
            return -1;
        }
        if (!PyArg_ParseTuple(PyTuple_GetItem(guards, i), "OOO", &dict, &guard->key, &guard->value)) return -1;
        if (dict != Py_None) Py_INCREF(dict), guard->dict = dict;
        Py_INCREF(guard->key), Py_INCREF(guard->value);
        self->guard_count++;
    }
    return 0;
}

static PyObject *routine_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *form, *owner, *measures, *request, *reading, *about, *guards;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "O!OO!O!O!OO!", ledger->form, &form, &owner, &PyTuple_Type, &measures, ledger->row, &request,
                          ReadingType, &reading, &about, &PyTuple_Type, &guards))
        return NULL;
    Routine *self = (Routine *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(form), self->form = form;
    Py_INCREF(request), self->request = request;
    Py_INCREF(reading), self->reading = (Reading *)reading;
    Py_INCREF(owner), self->owner = owner;
    Py_INCREF(about), self->about = about;
    int good = PyTuple_Size(measures) == (Py_ssize_t)READS;
    if (!good) PyErr_Format(PyExc_TypeError, "a routine has %u measures", READS);
    for (uint32_t i = 0; good && i < READS; i++)
        good = ledger->measure_index(self->form, PyTuple_GetItem(measures, i), &self->measures[i]) == 0;
    if (!good || parse_guards(self, guards) != 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static int routine_traverse(Routine *self, visitproc visit, void *arg) {
    Py_VISIT(self->form);
    Py_VISIT(self->owner);
    Py_VISIT(self->about);
    for (uint32_t i = 0; i < self->guard_count; i++) {
        Py_VISIT(self->guards[i].dict);
        Py_VISIT(self->guards[i].value);
    }
    Py_VISIT((PyObject *)Py_TYPE((PyObject *)self));
    return 0;
}

/* No part of a cycle that is broken up here is used any more: who could find it has let it go. */
static int routine_clear(Routine *self) {
    for (uint32_t i = 0; i < self->guard_count; i++) {
        Py_CLEAR(self->guards[i].dict);
        Py_CLEAR(self->guards[i].value);
    }
    PyObject *owner = self->owner, *about = self->about;
    self->owner = none(), self->about = none();
    Py_XDECREF(owner);
    Py_XDECREF(about);
    return 0;
}

static void routine_dealloc(Routine *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    routine_clear(self);
    for (uint32_t i = 0; i < self->guard_count; i++) Py_XDECREF(self->guards[i].key);
    Py_XDECREF(self->form);
    Py_XDECREF(self->request);
    Py_XDECREF((PyObject *)self->reading);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->about);
    PyObject_GC_Del(self);
    Py_DECREF((PyObject *)type);
}

/* ---- one call ---- */

static void call_dealloc(RoutineCall *call) {
    PyTypeObject *type = Py_TYPE((PyObject *)call);
    Py_DECREF((PyObject *)call->routine);
    Py_DECREF(call->draft);
    Py_XDECREF(call->full);
    Py_XDECREF(call->answer);
    PyObject_Free(call);
    Py_DECREF((PyObject *)type);
}

static PyObject *new_reference(PyObject *object) {
    if (object == NULL) return none();
    Py_INCREF(object);
    return object;
}

static PyObject *call_about(RoutineCall *call, void *closure) {
    (void)closure;
    return new_reference(call->routine->about);
}

static PyObject *call_tracker(RoutineCall *call, void *closure) {
    (void)closure;
    return new_reference(call->draft);
}

static PyObject *call_answer(RoutineCall *call, void *closure) {
    (void)closure;
    return new_reference(call->answer);
}

static PyObject *call_full(RoutineCall *call, void *closure) {
    (void)closure;
    return new_reference(call->full);
}

static int call_set_full(RoutineCall *call, PyObject *full, void *closure) {
    (void)closure;
    PyObject *before = call->full;
    Py_XINCREF(full), call->full = full;
    Py_XDECREF(before);
    return 0;
}

static PyObject *call_since_sent(RoutineCall *call, void *closure) {
    (void)closure;
    return call->sent ? PyFloat_FromDouble((double)(ledger->now() - call->sent) * 1e-9) : none();
}

static PyObject *call_seconds(RoutineCall *call, void *closure) {
    (void)closure;
    return call->answered ? PyFloat_FromDouble((double)(call->answered - call->sent) * 1e-9) : none();
}

static PyType_Slot routine_slots[] = {
    {Py_tp_new, routine_new},
    {Py_tp_dealloc, routine_dealloc},
    {Py_tp_traverse, routine_traverse},
    {Py_tp_clear, routine_clear},
    {Py_tp_doc, "How calls like one before are recorded."},
    {0, NULL},
};
static PyType_Spec routine_spec = {"tallygate.instrument._core.Routine", sizeof(Routine), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, routine_slots};
static PyGetSetDef call_getters[] = {
    {"about", (getter)call_about, NULL, "What its routine was given.", NULL},
    {"tracker", (getter)call_tracker, NULL, "Its draft.", NULL},
    {"answer", (getter)call_answer, NULL, "The response that has arrived, or None.", NULL},
    {"since_sent", (getter)call_since_sent, NULL, "Seconds since its request left, or None.", NULL},
    {"seconds", (getter)call_seconds, NULL, "Seconds from there to its response, or None.", NULL},
    {"full", (getter)call_full, (setter)call_set_full, "What others have made of it, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot call_slots[] = {
    {Py_tp_dealloc, call_dealloc},
    {Py_tp_getset, call_getters},
    {Py_tp_doc, "A call like one before."},
    {0, NULL},
};
static PyType_Spec call_spec = {"tallygate.instrument._core.RoutineCall", sizeof(RoutineCall), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                                call_slots};

int make_routine_types(PyObject *module) {
    RoutineType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &routine_spec, NULL);
    if (RoutineType == NULL || PyModule_AddType(module, RoutineType) != 0) return -1;
    RoutineCallType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &call_spec, NULL);
    return RoutineCallType == NULL ? -1 : PyModule_AddType(module, RoutineCallType);
}
