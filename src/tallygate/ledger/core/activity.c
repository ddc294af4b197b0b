/* Activity: a clock, one mark, and a gauge that is given back exactly once. */
#include "record.h"

PyTypeObject *ActivityType;

typedef struct {
    PyObject_HEAD
    Row *row;
    GaugeCell *gauge; /* NULL: a clock alone */
    uint32_t epoch;   /* of the fork in which it was taken */
    _Atomic int done;
    int64_t begun, marked, stopped; /* nanoseconds; 0: not yet */
} Activity;

PyObject *activity_new(Row *row, GaugeCell *gauge) {
    Activity *activity = PyObject_New(Activity, ActivityType);
    if (activity == NULL) {
        if (gauge) atomic_fetch_sub_explicit(&gauge->value, 1, relaxed);
        return NULL;
    }
    Py_INCREF((PyObject *)row);
    activity->row = row;
    activity->gauge = gauge;
    activity->epoch = atomic_load_explicit(&fork_epoch, relaxed);
    atomic_init(&activity->done, 0);
    activity->marked = activity->stopped = 0;
    activity->begun = clock_nanoseconds();
    return (PyObject *)activity;
}

/* Whether this is the call that ends it. */
static inline int give_back(Activity *activity) {
#ifdef Py_GIL_DISABLED
    if (atomic_exchange(&activity->done, 1)) return 0;
#else
    if (atomic_load_explicit(&activity->done, relaxed)) return 0;
    atomic_store_explicit(&activity->done, 1, relaxed);
#endif
    gauge_return(activity->row, activity->gauge, activity->epoch);
    return 1;
}

static void activity_dealloc(Activity *activity) {
    PyTypeObject *type = Py_TYPE((PyObject *)activity);
    give_back(activity);
    Py_DECREF((PyObject *)activity->row);
    PyObject_Free(activity);
    Py_DECREF((PyObject *)type);
}

static inline int64_t now_of(const Activity *activity) {
    return activity->stopped ? activity->stopped : clock_nanoseconds();
}

static PyObject *activity_mark(Activity *self, PyObject *unused) {
    (void)unused;
    int64_t now = now_of(self);
    if (!self->marked && !self->stopped) self->marked = now;
    return PyFloat_FromDouble((double)(now - self->begun) * 1e-9);
}

static PyObject *activity_finish(Activity *self, PyObject *const *args, Py_ssize_t count) {
    PyObject *row = count ? args[0] : Py_None;
    if (unlikely(row != Py_None && Py_TYPE(row) != RowType))
        return PyErr_Format(PyExc_TypeError, "finish() takes a row of a ledger, not %R", (PyObject *)Py_TYPE(row));
    if (!give_back(self)) {
        Py_INCREF(Py_False);
        return Py_False;
    }
    self->stopped = clock_nanoseconds();
    /* One that a fork took over is its parent's to record. */
    if (row != Py_None && likely(self->epoch == atomic_load_explicit(&fork_epoch, relaxed)))
        record_into((Row *)row, args + 1, count - 1, self->stopped - self->begun,
                    self->marked ? self->marked - self->begun : -1);
    Py_INCREF(Py_True);
    return Py_True;
}

static PyObject *activity_elapsed(Activity *self, void *closure) {
    (void)closure;
    return PyFloat_FromDouble((double)(now_of(self) - self->begun) * 1e-9);
}

static PyObject *activity_marked(Activity *self, void *closure) {
    (void)closure;
    return self->marked ? PyFloat_FromDouble((double)(self->marked - self->begun) * 1e-9) : none();
}

static PyMethodDef methods[] = {
    {"mark", (PyCFunction)activity_mark, METH_NOARGS, "Note the time of the first call; seconds since begin, now."},
    {"finish", (PyCFunction)(void (*)(void))activity_finish, METH_FASTCALL,
     "Give the gauge back and record measures into a row."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getters[] = {
    {"elapsed", (getter)activity_elapsed, NULL, "Seconds since begin; stands still once finished.", NULL},
    {"marked", (getter)activity_marked, NULL, "Seconds from begin to the first mark, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, activity_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_tp_doc, "Something going on: a clock, one mark, and a gauge that is given back exactly once."},
    {0, NULL},
};
static PyType_Spec spec = {"tallygate.ledger._core.Activity", sizeof(Activity), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyTypeObject *make_activity_type(PyObject *module) {
    return ActivityType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
