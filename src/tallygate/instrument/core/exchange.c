/* Exchange: a request that an ASGI application serves, with the callables that it is given instead of its server's.
 * Passage: what they return where the result is to be seen; a coroutine in all that is public. */
#include "core.h"

typedef struct {
    PyObject_HEAD
    PyObject *live, *find, *told, *scope, *receive, *send, *status; /* status: NULL until one is sent */
    Stay stay; /* in the gauge of live, a row */
    int done, whole, gone;
    int64_t begun, received, sent; /* sent: -1 when nobody knows */
} Exchange;

typedef struct {
    PyObject_HEAD
    Exchange *exchange;
    PyObject *inner;
    int incoming, over; /* incoming: its result is a message to the application; else it is the last one sent */
} Passage;

static PyTypeObject *ExchangeType, *PassageType;
static PyObject *coroutine_type, *generator_type, *type_key, *body_key, *more_key, *status_key, *method_key;
static PyObject *request_kind, *disconnect_kind, *body_kind, *start_kind, *path_kind;
static PyObject *get_word, *head_word, *gone_word, *failed_word, *await_name, *throw_name, *close_name;

/* A new reference; NULL, without an exception, when there is none. */
static PyObject *item(PyObject *mapping, PyObject *key) {
    PyObject *found;
    if (likely(PyDict_CheckExact(mapping))) {
        found = PyDict_GetItemWithError(mapping, key);
        Py_XINCREF(found);
    } else {
        found = PyObject_GetItem(mapping, key);
    }
    if (found == NULL && PyErr_Occurred()) PyErr_Clear();
    return found;
}

static int truth(PyObject *mapping, PyObject *key) {
    PyObject *found = item(mapping, key);
    int true_one = found != NULL && PyObject_IsTrue(found) == 1;
    Py_XDECREF(found);
    PyErr_Clear();
    return true_one;
}

static int64_t size_of(PyObject *message) {
    PyObject *body = item(message, body_key);
    Py_ssize_t size = body == NULL || body == Py_None ? 0 : PyObject_Size(body);
    Py_XDECREF(body);
    if (size < 0) PyErr_Clear();
    return size < 0 ? 0 : (int64_t)size;
}

static int is(PyObject *kind, PyObject *word) {
    return kind == word || (kind && PyUnicode_CheckExact(kind) && PyUnicode_Compare(kind, word) == 0);
}

/* ---- exchanges ---- */

static PyObject *exchange_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *live, *find, *told, *scope, *receive, *send;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "O!OOOOO", ledger->row, &live, &find, &told, &scope, &receive, &send)) return NULL;
    Exchange *self = (Exchange *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(live), self->live = live;
    Py_INCREF(find), self->find = find;
    Py_INCREF(told), self->told = told;
    Py_INCREF(scope), self->scope = scope;
    Py_INCREF(receive), self->receive = receive;
    Py_INCREF(send), self->send = send;
    self->stay = ledger->enter(live);
    self->begun = ledger->now();
    return (PyObject *)self;
}

static int exchange_traverse(Exchange *self, visitproc visit, void *arg) {
    Py_VISIT(self->find);
    Py_VISIT(self->told);
    Py_VISIT(self->scope);
    Py_VISIT(self->receive);
    Py_VISIT(self->send);
    Py_VISIT((PyObject *)Py_TYPE((PyObject *)self));
    return 0;
}

static int exchange_clear(Exchange *self) {
    PyObject **places[] = {&self->find, &self->told, &self->scope, &self->receive, &self->send};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        PyObject *before = *places[i];
        *places[i] = none();
        Py_XDECREF(before);
    }
    return 0;
}

static int end(Exchange *self) {
    if (self->done) return 0;
    self->done = 1;
    ledger->leave(self->live, self->stay);
    return 1;
}

static void exchange_dealloc(Exchange *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    if (self->live) end(self);
    Py_XDECREF(self->live);
    Py_XDECREF(self->find);
    Py_XDECREF(self->told);
    Py_XDECREF(self->scope);
    Py_XDECREF(self->receive);
    Py_XDECREF(self->send);
    Py_XDECREF(self->status);
    PyObject_GC_Del(self);
    Py_DECREF((PyObject *)type);
}

/* Bytes of the request, as a new reference: those that were read when that is all of them, else as it was told. */
static PyObject *size_read(Exchange *self, int reads_none) {
    PyObject *received = PyLong_FromLongLong(self->received), *told = received;
    if (received && !self->whole && !reads_none) {
        told = PyObject_CallFunctionObjArgs(self->told, self->scope, received, NULL);
        Py_DECREF(received);
    }
    return told;
}

static void record(Exchange *self, PyObject *row, int64_t elapsed) {
    PyObject *method = item(self->scope, method_key);
    PyObject *read = size_read(self, is(method, get_word));
    PyObject *sent = self->sent < 0 ? none() : PyLong_FromLongLong(is(method, head_word) ? 0 : self->sent);
    PyObject *values[] = {ledger->elapsed, read ? read : Py_None, sent ? sent : Py_None};
    ledger->record(row, self->stay, values, 3, elapsed);
    Py_XDECREF(method);
    Py_XDECREF(read);
    Py_XDECREF(sent);
    if (PyErr_Occurred()) PyErr_WriteUnraisable(self->told);
}

/* Once. An exception that is on its way stays so. */
static void finish(Exchange *self, PyObject *otherwise) {
    if (!end(self)) return;
    int64_t elapsed = ledger->now() - self->begun;
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyObject *status = self->status ? self->status : self->gone ? gone_word : otherwise;
    PyObject *row = PyObject_CallFunctionObjArgs(self->find, self->scope, status, NULL);
    if (unlikely(row == NULL))
        PyErr_WriteUnraisable(self->find);
    else if (likely(Py_TYPE(row) == ledger->row))
        record(self, row, elapsed);
    Py_XDECREF(row);
    PyErr_Restore(kind, value, trace);
}

static PyObject *exchange_finish(Exchange *self, PyObject *otherwise) {
    finish(self, otherwise);
    return none();
}

static PyObject *passage(Exchange *exchange, PyObject *awaitable, int incoming) {
    if (awaitable == NULL) return NULL;
    PyObject *inner = awaitable;
    if (unlikely((PyObject *)Py_TYPE(awaitable) != coroutine_type && (PyObject *)Py_TYPE(awaitable) != generator_type)) {
        inner = PyObject_CallMethodObjArgs(awaitable, await_name, NULL);
        Py_DECREF(awaitable);
        if (inner == NULL) return NULL;
    }
    Passage *made = (Passage *)PyType_GenericAlloc(PassageType, 0);
    if (made == NULL) {
        Py_DECREF(inner);
        return NULL;
    }
    Py_INCREF((PyObject *)exchange), made->exchange = exchange;
    made->inner = inner;
    made->incoming = incoming;
    return (PyObject *)made;
}

static PyObject *exchange_receive(Exchange *self, PyObject *unused) {
    (void)unused;
    return passage(self, PyObject_CallNoArgs(self->receive), 1);
}

static PyObject *exchange_send(Exchange *self, PyObject *message) {
    PyObject *kind = item(message, type_key), *status;
    int last = 0;
    if (is(kind, body_kind)) {
        int64_t size = size_of(message);
        if (size) self->sent = (self->sent < 0 ? 0 : self->sent) + size;
        last = !truth(message, more_key);
    } else if (is(kind, start_kind)) {
        if (self->gone)
            Py_INCREF(gone_word), status = gone_word;
        else
            status = item(message, status_key);
        if (status && PyObject_IsTrue(status) != 1) Py_CLEAR(status);
        PyErr_Clear();
        PyObject *before = self->status;
        self->status = status;
        Py_XDECREF(before);
    } else if (is(kind, path_kind)) { /* a file that the server reads */
        self->sent = -1;
        last = 1;
    }
    Py_XDECREF(kind);
    PyObject *sending = PyObject_CallFunctionObjArgs(self->send, message, NULL);
    return last ? passage(self, sending, 0) : sending;
}

/* ---- passages ---- */

static int passage_traverse(Passage *self, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)self->exchange);
    Py_VISIT(self->inner);
    Py_VISIT((PyObject *)Py_TYPE((PyObject *)self));
    return 0;
}

static int passage_clear(Passage *self) {
    PyObject *inner = self->inner;
    self->inner = none();
    Py_XDECREF(inner);
    return 0;
}

static void passage_dealloc(Passage *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)self->exchange);
    Py_XDECREF(self->inner);
    PyObject_GC_Del(self);
    Py_DECREF((PyObject *)type);
}

/* This is its result. */
static void see(Passage *self, PyObject *result) {
    if (self->over) return;
    self->over = 1;
    Exchange *exchange = self->exchange;
    if (!self->incoming) {
        finish(exchange, failed_word);
        return;
    }
    PyObject *kind = item(result, type_key);
    if (is(kind, request_kind)) {
        exchange->received += size_of(result);
        exchange->whole = !truth(result, more_key);
    } else if (is(kind, disconnect_kind)) {
        exchange->gone = 1;
    }
    Py_XDECREF(kind);
}

static PySendResult passage_am_send(PyObject *self, PyObject *value, PyObject **result) {
    PySendResult how = PyIter_Send(((Passage *)self)->inner, value, result);
    if (how == PYGEN_RETURN) see((Passage *)self, *result);
    return how;
}

static PyObject *passage_send(PyObject *self, PyObject *value) {
    PyObject *result, *stop;
    PySendResult how = passage_am_send(self, value, &result);
    if (how != PYGEN_RETURN) return result;
    stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL);
    Py_DECREF(result);
    if (stop != NULL) PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    return NULL;
}

static PyObject *passage_next(PyObject *self) { return passage_send(self, Py_None); }

static PyObject *passage_await(PyObject *self) {
    Py_INCREF(self);
    return self;
}

static PyObject *passage_awaited(PyObject *self, PyObject *unused) {
    (void)unused;
    return passage_await(self);
}

static PyObject *passage_throw(PyObject *self, PyObject *args) {
    PyObject *method = PyObject_GetAttr(((Passage *)self)->inner, throw_name);
    PyObject *result = method ? PyObject_CallObject(method, args) : NULL, *kind, *stop, *trace;
    Py_XDECREF(method);
    if (result == NULL && PyErr_ExceptionMatches(PyExc_StopIteration)) { /* it has returned after all */
        PyErr_Fetch(&kind, &stop, &trace);
        PyErr_NormalizeException(&kind, &stop, &trace);
        PyObject *value = PyObject_GetAttrString(stop, "value");
        if (value != NULL) see((Passage *)self, value);
        Py_XDECREF(value);
        PyErr_Restore(kind, stop, trace);
    }
    return result;
}

static PyObject *passage_close(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *method = PyObject_GetAttr(((Passage *)self)->inner, close_name);
    if (method == NULL) { /* an iterator of a future has nothing to close */
        PyErr_Clear();
        return none();
    }
    PyObject *result = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    return result;
}

static PyMethodDef exchange_methods[] = {
    {"receive", (PyCFunction)exchange_receive, METH_NOARGS, "As the server's; the message is seen."},
    {"send", (PyCFunction)exchange_send, METH_O, "As the server's; recorded when the last message is out."},
    {"finish", (PyCFunction)exchange_finish, METH_O, "Record it, once; with this status when none was sent."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot exchange_slots[] = {
    {Py_tp_new, exchange_new},
    {Py_tp_dealloc, exchange_dealloc},
    {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},
    {Py_tp_methods, exchange_methods},
    {Py_tp_doc, "A request that an ASGI application serves."},
    {0, NULL},
};
static PyType_Spec exchange_spec = {"tallygate.instrument._core.Exchange", sizeof(Exchange), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, exchange_slots};
static PyMethodDef passage_methods[] = {
    {"__await__", passage_awaited, METH_NOARGS, "Itself."},
    {"send", passage_send, METH_O, "As a coroutine's."},
    {"throw", passage_throw, METH_VARARGS, "As a coroutine's."},
    {"close", passage_close, METH_NOARGS, "As a coroutine's."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot passage_slots[] = {
    {Py_tp_dealloc, passage_dealloc},
    {Py_tp_traverse, passage_traverse},
    {Py_tp_clear, passage_clear},
    {Py_am_await, passage_await},
    {Py_am_send, passage_am_send},
    {Py_tp_iter, passage_await},
    {Py_tp_iternext, passage_next},
    {Py_tp_methods, passage_methods},
    {Py_tp_doc, "A message on its way."},
    {0, NULL},
};
static PyType_Spec passage_spec = {"tallygate.instrument._core.Passage", sizeof(Passage), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                       Py_TPFLAGS_IMMUTABLETYPE,
                                   passage_slots};

static int intern_words(void) {
    const struct {
        PyObject **place;
        const char *word;
    } words[] = {
        {&type_key, "type"}, {&body_key, "body"}, {&more_key, "more_body"}, {&status_key, "status"},
        {&method_key, "method"}, {&request_kind, "http.request"}, {&disconnect_kind, "http.disconnect"},
        {&body_kind, "http.response.body"}, {&start_kind, "http.response.start"},
        {&path_kind, "http.response.pathsend"}, {&get_word, "GET"}, {&head_word, "HEAD"}, {&gone_word, "499"},
        {&failed_word, "500"}, {&await_name, "__await__"}, {&throw_name, "throw"}, {&close_name, "close"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((*words[i].place = PyUnicode_InternFromString(words[i].word)) == NULL) return -1;
    return 0;
}

int make_exchange_types(PyObject *module) {
    PyObject *types = PyImport_ImportModule("types");
    coroutine_type = types ? PyObject_GetAttrString(types, "CoroutineType") : NULL;
    generator_type = types ? PyObject_GetAttrString(types, "GeneratorType") : NULL; /* of types.coroutine */
    Py_XDECREF(types);
    if (coroutine_type == NULL || generator_type == NULL || intern_words() != 0 ||
        (ExchangeType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &exchange_spec, NULL)) == NULL ||
        (PassageType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &passage_spec, NULL)) == NULL)
        return -1;
    return PyModule_AddType(module, ExchangeType);
}
