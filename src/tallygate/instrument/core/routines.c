/* Routines: the calls of one library that are like one before, from their beginning to their end in four short calls.
 * Whatever is not as it nearly always is, is left to others: they are told so by None or False, with nothing done, and
 * never by an exception. */
#include "routine.h"

typedef struct {
    PyObject_HEAD
    PyObject *place, *get_current, *get_ongoing, *set_ongoing;
    Path labels[MOST_LABELS];
    uint32_t label_count;
} Routines;

static PyObject *status_name, *closed_name;

static PyObject *routines_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *place, *current, *ongoing, *labels;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "UOOO!", &place, &current, &ongoing, &PyTuple_Type, &labels)) return NULL;
    Routines *self = (Routines *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(place);
    PyUnicode_InternInPlace(&place);
    self->place = place;
    int good = PyTuple_Size(labels) <= (Py_ssize_t)MOST_LABELS;
    if (!good) PyErr_Format(PyExc_ValueError, "there are %u labels at most", MOST_LABELS);
    for (Py_ssize_t i = 0; good && i < PyTuple_Size(labels); i++) {
        good = path_parse(&self->labels[i], PyTuple_GetItem(labels, i)) == 0;
        self->label_count++;
    }
    if (!good || (self->get_current = PyObject_GetAttrString(current, "get")) == NULL ||
        (self->get_ongoing = PyObject_GetAttrString(ongoing, "get")) == NULL ||
        (self->set_ongoing = PyObject_GetAttrString(ongoing, "set")) == NULL) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static void routines_dealloc(Routines *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    for (uint32_t i = 0; i < MOST_LABELS; i++) path_clear(&self->labels[i]);
    Py_XDECREF(self->place);
    Py_XDECREF(self->get_current);
    Py_XDECREF(self->get_ongoing);
    Py_XDECREF(self->set_ongoing);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* Labels and context as a tuple, its context in `context`; NULL when the labels are no strings. */
static PyObject *key_of(const Routines *self, PyObject *request, PyObject **context) {
    PyObject *members = members_of(request);
    PyObject *key = members ? PyTuple_New((Py_ssize_t)self->label_count + 1) : NULL;
    for (uint32_t i = 0; key && i < self->label_count; i++) {
        const Path *path = &self->labels[i];
        PyObject *found = PyDict_GetItemWithError(members, path->names[0]);
        for (uint32_t n = 1; n < path->length && found; n++)
            found = PyDict_CheckExact(found) ? PyDict_GetItemWithError(found, path->names[n]) : NULL;
        if (found && PyUnicode_CheckExact(found))
            Py_INCREF(found), PyTuple_SetItem(key, i, found);
        else
            Py_CLEAR(key);
    }
    if (key) {
        *context = PyObject_CallNoArgs(self->get_current);
        if (*context)
            PyTuple_SetItem(key, self->label_count, *context); /* the key's reference is the one that there is */
        else
            Py_CLEAR(key);
    }
    Py_XDECREF(members);
    return key;
}

static int guarded(const Routine *routine, PyObject *own) {
    for (uint32_t i = 0; i < routine->guard_count; i++) {
        const Guard *guard = &routine->guards[i];
        if (PyDict_GetItemWithError(guard->dict ? guard->dict : own, guard->key) != guard->value) return 0;
    }
    return 1;
}

static int set_ongoing(const Routines *self, PyObject *call) {
    PyObject *token = PyObject_CallFunctionObjArgs(self->set_ongoing, call, NULL);
    Py_XDECREF(token);
    return token ? 0 : -1;
}

/* As tallygate.instrument.support.once.let_go. */
static void let_go(const Routines *self, PyObject *call) {
    PyObject *ongoing = PyObject_CallNoArgs(self->get_ongoing);
    int failed = ongoing == NULL || (likely(ongoing == call) && set_ongoing(self, Py_None) != 0);
    Py_XDECREF(ongoing);
    if (unlikely(failed)) PyErr_WriteUnraisable(self->set_ongoing);
}

static RoutineCall *begin(const Routines *self, Routine *routine, PyObject *context) {
    RoutineCall *call = PyObject_New(RoutineCall, RoutineCallType);
    if (call == NULL) return NULL;
    call->full = call->answer = NULL;
    call->sent = call->answered = 0;
    Py_INCREF((PyObject *)routine), call->routine = routine;
    call->draft = ledger->make(routine->form, routine->owner, context);
    if (call->draft == NULL) {
        call->draft = none();
    } else if (set_ongoing(self, (PyObject *)call) == 0) {
        ledger->start(call->draft);
        return call;
    }
    Py_DECREF((PyObject *)call);
    return NULL;
}

static PyObject *routines_begin(Routines *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 3) return PyErr_Format(PyExc_TypeError, "begin() takes a client, a request and a truth");
    if (args[2] != Py_False) return none();
    RoutineCall *call = NULL;
    PyObject *context, *key = NULL, *own = PyObject_GenericGetDict(args[0], NULL);
    PyObject *known = own ? PyDict_GetItemWithError(own, self->place) : NULL;
    if (likely(known && PyDict_Check(known) && (key = key_of(self, args[1], &context)))) {
        PyObject *routine = PyDict_GetItemWithError(known, key);
        if (likely(routine && Py_TYPE(routine) == RoutineType && guarded((Routine *)routine, own))) {
            PyObject *ongoing = PyObject_CallNoArgs(self->get_ongoing);
            if (likely(ongoing == Py_None)) call = begin(self, (Routine *)routine, context);
            Py_XDECREF(ongoing);
        }
    }
    Py_XDECREF(key);
    Py_XDECREF(own);
    if (likely(call != NULL)) return (PyObject *)call;
    PyErr_Clear();
    return none();
}

static PyObject *routines_leave(Routines *self, PyObject *unused) {
    (void)unused;
    PyObject *ongoing = PyObject_CallNoArgs(self->get_ongoing);
    RoutineCall *call = (RoutineCall *)ongoing;
    if (likely(ongoing && Py_TYPE(ongoing) == RoutineCallType && !call->full && !call->sent)) {
        call->sent = ledger->now();
        return ongoing;
    }
    if (ongoing == NULL) PyErr_Clear();
    Py_XDECREF(ongoing);
    return none();
}

/* Whether all of a response is here, and it is a 200; None is one of which that is known. */
static int all_is_well(PyObject *response) {
    if (response == Py_None) return 1;
    PyObject *status = PyObject_GetAttr(response, status_name);
    PyObject *closed = status ? PyObject_GetAttr(response, closed_name) : NULL;
    int well = closed == Py_True && PyLong_CheckExact(status) && PyLong_AsLong(status) == 200;
    Py_XDECREF(status);
    Py_XDECREF(closed);
    if (!well) PyErr_Clear();
    return well;
}

static PyObject *routines_arrive(Routines *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    if (count != 3) return PyErr_Format(PyExc_TypeError, "arrive() takes a call, a response and a truth");
    RoutineCall *call = (RoutineCall *)args[0];
    PyObject *response = args[1], *well = Py_False;
    if (PyTuple_CheckExact(response) && PyTuple_Size(response)) response = PyTuple_GetItem(response, 0);
    if (likely(Py_TYPE(args[0]) == RoutineCallType && !call->full && args[2] == Py_False && all_is_well(response))) {
        call->answered = ledger->now();
        Py_INCREF(response);
        Py_XDECREF(call->answer);
        call->answer = response;
        well = Py_True;
    }
    Py_INCREF(well);
    return well;
}

static void record(RoutineCall *call, const int64_t *read) {
    const Routine *routine = call->routine;
    int64_t answered = call->answered - call->sent;
    if (unlikely(ledger->end(call->draft, routine->measures, read, READS, routine->request, answered) != 0))
        PyErr_WriteUnraisable(call->draft);
}

static PyObject *routines_end(Routines *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 2) return PyErr_Format(PyExc_TypeError, "end() takes a call and a reply");
    RoutineCall *call = (RoutineCall *)args[0];
    int64_t read[READS];
    PyObject *ended = Py_False;
    if (likely(Py_TYPE(args[0]) == RoutineCallType && !call->full && call->answered && ledger->going(call->draft) &&
               reading_read(call->routine->reading, args[1], read))) {
        let_go(self, args[0]);
        record(call, read);
        ended = Py_True;
    }
    Py_INCREF(ended);
    return ended;
}

#define FAST(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL
static PyMethodDef routines_methods[] = {
    {"begin", FAST(routines_begin), "A call that begins; None when it is none of these."},
    {"leave", (PyCFunction)routines_leave, METH_NOARGS, "The call whose request leaves; None when it is none of these."},
    {"arrive", FAST(routines_arrive), "Its response is here; False when it is no ordinary one."},
    {"end", FAST(routines_end), "Its reply is here, and it is recorded; False when it is no ordinary one."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot routines_slots[] = {
    {Py_tp_new, routines_new},
    {Py_tp_dealloc, routines_dealloc},
    {Py_tp_methods, routines_methods},
    {Py_tp_doc, "The calls of a library that are like one before."},
    {0, NULL},
};
static PyType_Spec routines_spec = {"tallygate.instrument._core.Routines", sizeof(Routines), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, routines_slots};

int make_routines_type(PyObject *module) {
    if ((status_name = PyUnicode_InternFromString("status_code")) == NULL ||
        (closed_name = PyUnicode_InternFromString("is_closed")) == NULL)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &routines_spec, NULL);
    int added = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return added;
}
