/* Draft: a record in the making. */
#include "draft.h"

PyTypeObject *DraftType;
static PyObject *fail_name, *finish_name, *abandon_name, *moved_name, *link_name;

/* Lets the draft see to it when it starts in another place than it was made in; -1 with an exception. */
static int look_around(Draft *draft) {
    PyObject *place = PyObject_CallNoArgs(draft->form->where), *result = place;
    if (place == NULL) return -1;
    if (unlikely(place != draft->place)) {
        result = PyObject_CallMethodObjArgs((PyObject *)draft, moved_name, place, NULL);
        Py_DECREF(place);
        if (result == NULL) return -1;
    }
    Py_DECREF(result);
    return 0;
}

static inline void begin_here(Draft *draft) {
    Row *row = draft->form->going;
    draft->gauge = gauge_take(row, row->shape->measures);
    draft->epoch = atomic_load_explicit(&fork_epoch, relaxed);
    draft->begun = clock_nanoseconds();
}

/* Again is once, and not when it is over; -1 with an exception. */
static inline int begin(Draft *draft) {
    if (draft->begun) return 0;
    if (draft->form->where && look_around(draft) != 0) return -1;
    if (!draft_over(draft)) begin_here(draft);
    return 0;
}

/* Whether this is the call that ends it. */
static inline int end(Draft *draft) {
#ifdef Py_GIL_DISABLED
    if (atomic_exchange(&draft->done, 1)) return 0;
#else
    if (atomic_load_explicit(&draft->done, relaxed)) return 0;
    atomic_store_explicit(&draft->done, 1, relaxed);
#endif
    gauge_return(draft->form->going, draft->gauge, draft->epoch);
    return 1;
}

static void draft_dealloc(Draft *draft) {
    PyTypeObject *type = Py_TYPE((PyObject *)draft);
    end(draft);
    freefunc release = draft->form->release;
    Py_DECREF((PyObject *)draft->form);
    Py_DECREF(draft->owner);
    Py_DECREF(draft->place);
    release(draft);
    Py_DECREF((PyObject *)type);
}

/* One that was started by hand and thrown away unfinished has its say first. */
static void draft_finalize(PyObject *self) {
    Draft *draft = (Draft *)self;
    if (likely(!draft->held || draft_over(draft))) return;
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyObject *result = PyObject_CallMethodObjArgs(self, abandon_name, NULL);
    if (result == NULL) PyErr_WriteUnraisable(self);
    Py_XDECREF(result);
    PyErr_Restore(kind, value, trace);
}

static inline int64_t age(const Draft *draft) {
    if (!draft->begun) return 0;
    return (draft->stopped ? draft->stopped : clock_nanoseconds()) - draft->begun;
}

/* What follows from the measures, as long as it is nothing out of the ordinary: 0 when it is. */
static int derive(Draft *draft) {
    const Form *form = draft->form;
    int64_t results[MOST_DERIVED];
    if (!form->derives || (draft->set & form->required) != form->required) return 0;
    for (uint32_t i = 0; i < form->sum_count; i++) {
        int64_t sum = form->sums[i].constant, product;
        for (uint32_t s = 0; s < form->source_count; s++) /* a source without a value is 0 */
            if (__builtin_mul_overflow(form->sums[i].weights[s], draft->units[form->sources[s]], &product) ||
                __builtin_add_overflow(sum, product, &sum))
                return 0;
        if (sum < 0) return 0;
        results[i] = sum;
    }
    for (uint32_t i = 0; i < form->sum_count; i++) put_units(draft, form->sums[i].measure, results[i]);
    int64_t nanoseconds = age(draft);
    if (draft->units[form->rate_of] > 0 && nanoseconds > 0) {
        const Measure *measures = form->row->shape->recorded;
        double amount = (double)draft->units[form->rate_of] / measures[form->rate_of].scale;
        double scaled = amount / ((double)nanoseconds * 1e-9) * measures[form->rate].scale;
        if (likely(scaled < 9.2e18)) put_units(draft, form->rate, llrint(scaled));
    }
    return 1;
}

/* Stop the clock, which is a measure itself. */
static void stop(Draft *draft) {
    if (draft->stopped) return;
    draft->stopped = clock_nanoseconds();
    uint32_t duration = draft->form->duration;
    put_units(draft, duration, nano_units(&draft->form->row->shape->recorded[duration], age(draft)));
}

static void record_draft(Draft *draft, Row *row) {
    Spot *spots = row == draft->form->row ? draft->form->spots : NULL; /* another row is looked up as it comes */
    const Measure *measures = row->shape->recorded;
    Growth growths[MOST_MEASURES];
    uint32_t count = 0;
    int64_t dropped = 0;
    if (unlikely(row_closed(row))) return;
    if (unlikely(draft_inherited(draft))) return;
    __builtin_prefetch((const void *)row->cells, 1);
    if (spots && unlikely(atomic_load_explicit(&draft->form->usual, relaxed) != draft->set))
        atomic_store_explicit(&draft->form->usual, draft->set, relaxed);
    for (uint32_t set = draft->set; set; set &= set - 1) {
        uint32_t index = (uint32_t)__builtin_ctz(set);
        const Measure *measure = &measures[index];
        int64_t units = draft->units[index];
        int taken = likely(spots != NULL) ? growth_at(&spots[index], measure, units, &growths[count])
                                          : growth_of(measure, row->cells, units, &growths[count]);
        count += taken;
        dropped += !taken;
    }
    int alone = adds_alone(row->shape->book);
    cell_grow(row->cells, 1, alone);
    dropped += grow_all(growths, count, alone);
    if (unlikely(dropped)) count_dropped(row->shape->book, dropped);
}

static PyObject *draft_enter(Draft *self, PyObject *unused) {
    (void)unused;
    if (unlikely(begin(self) != 0)) return NULL;
    Py_INCREF((PyObject *)self);
    return (PyObject *)self;
}

PyObject *draft_start(Draft *self, PyObject *unused) {
    if (!draft_over(self) && !self->begun) self->held = 1;
    return draft_enter(self, unused);
}

void draft_start_here(Draft *draft) {
    draft->held = 1;
    begin_here(draft);
}

/* Lets the draft link a record to the trace that is current, if there is one; -1 with an exception. */
static int link_trace(Draft *draft) {
    PyObject *kind = NULL, *problem = NULL, *where = NULL, *trace = PyObject_CallNoArgs(draft->form->traced);
    if (likely(trace == Py_None)) {
        Py_DECREF(trace);
        return 0;
    }
    if (trace == NULL) {
        PyErr_Fetch(&kind, &problem, &where);
        PyErr_NormalizeException(&kind, &problem, &where);
    }
    PyObject *result = PyObject_CallMethodObjArgs((PyObject *)draft, link_name, trace ? trace : Py_None,
                                                  problem ? problem : Py_None, NULL);
    Py_XDECREF(trace), Py_XDECREF(kind), Py_XDECREF(problem), Py_XDECREF(where), Py_XDECREF(result);
    return result ? 0 : -1;
}

int draft_leave(Draft *draft) {
    if (draft->form->direct && draft->begun && !draft_over(draft)) {
        stop(draft);
        if (derive(draft)) {
            if (!end(draft)) return 0;
            record_draft(draft, draft->form->row);
            return draft->form->traced ? link_trace(draft) : 0;
        }
    }
    PyObject *result = PyObject_CallMethodObjArgs((PyObject *)draft, finish_name, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *draft_exit(Draft *self, PyObject *const *args, Py_ssize_t count) {
    if (likely(count < 2 || args[1] == Py_None)) return draft_leave(self) == 0 ? none() : NULL;
    PyObject *result = PyObject_CallMethodObjArgs((PyObject *)self, fail_name, args[1], NULL);
    if (result == NULL) return NULL;
    Py_DECREF(result);
    return none();
}

static PyObject *draft_put(Draft *self, PyObject *const *args, Py_ssize_t count) {
    const Measure *measures = self->form->row->shape->recorded;
    for (Py_ssize_t i = 0; i + 1 < count; i += 2) {
        uint32_t index;
        int64_t units;
        if (index_in(self->form, args[i], &index) != 0) return NULL;
        int outcome = value_of(&measures[index], args[i + 1], &units);
        if (outcome == VALUE_GOOD) put_units(self, index, units);
        if (unlikely(outcome == VALUE_BAD)) count_dropped(self->form->row->shape->book, 1);
    }
    return none();
}

static PyObject *draft_count(Draft *self, PyObject *const *args, Py_ssize_t count) {
    const Measure *measures = self->form->row->shape->recorded;
    int64_t units[MOST_MEASURES];
    uint32_t indexes[MOST_MEASURES], taken = 0;
    int good = count / 2 <= (Py_ssize_t)MOST_MEASURES;
    for (Py_ssize_t i = 0; good && i + 1 < count; i += 2) {
        if (args[i + 1] == Py_None) continue;
        if (index_in(self->form, args[i], &indexes[taken]) != 0) return NULL;
        good = PyLong_CheckExact(args[i + 1]) &&
               value_of(&measures[indexes[taken]], args[i + 1], &units[taken]) == VALUE_GOOD && units[taken] >= 0 &&
               units[taken] <= OBSERVATION_LIMIT;
        taken++;
    }
    if (good && !draft_over(self))
        for (uint32_t i = 0; i < taken; i++) put_units(self, indexes[i], units[i]);
    PyObject *answer = good ? Py_True : Py_False;
    Py_INCREF(answer);
    return answer;
}

static PyObject *draft_units(Draft *self, PyObject *number) {
    uint32_t index;
    if (index_in(self->form, number, &index) != 0) return NULL;
    return self->set >> index & 1 ? PyLong_FromLongLong(self->units[index]) : none();
}

static PyObject *draft_derive(Draft *self, PyObject *unused) {
    (void)unused;
    if (begin(self) != 0) return NULL;
    if (draft_over(self)) return none();
    stop(self);
    PyObject *answer = derive(self) ? Py_True : Py_False;
    Py_INCREF(answer);
    return answer;
}

static PyObject *draft_close(Draft *self, PyObject *row) {
    if (unlikely(row != Py_None && Py_TYPE(row) != RowType))
        return PyErr_Format(PyExc_TypeError, "close() takes a row of a ledger, not %R", (PyObject *)Py_TYPE(row));
    if (unlikely(row != Py_None && ((Row *)row)->shape != self->form->row->shape))
        return PyErr_Format(PyExc_ValueError, "close() takes a row of the draft's own table");
    int ends = end(self);
    if (ends) {
        if (self->begun) stop(self);
        if (row != Py_None) record_draft(self, (Row *)row);
    }
    PyObject *answer = ends ? Py_True : Py_False;
    Py_INCREF(answer);
    return answer;
}

static PyObject *draft_values(Draft *self, PyObject *unused) {
    (void)unused;
    const Shape *shape = self->form->row->shape;
    PyObject *values = PyTuple_New(shape->recorded_count);
    for (uint32_t i = 0; values && i < shape->recorded_count; i++) {
        double value = (double)self->units[i] / shape->recorded[i].scale;
        PyObject *item = self->set >> i & 1 ? PyFloat_FromDouble(value) : none();
        if (item == NULL || PyTuple_SetItem(values, i, item) != 0) Py_CLEAR(values);
    }
    return values;
}

static PyObject *draft_lap(Draft *self, PyObject *unused) {
    (void)unused;
    if (draft_over(self)) return none();
    if (!self->begun) {
        self->held = 1;
        if (begin(self) != 0) return NULL;
        if (draft_over(self)) return none();
    }
    int64_t now = clock_nanoseconds(), last = self->lapped;
    self->lapped = now;
    if (last) return PyFloat_FromDouble((double)(now - last) * 1e-9);
    self->marked = now;
    return none();
}

static PyObject *draft_become(Draft *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 2 || Py_TYPE(args[0]) != FormType || ((Form *)args[0])->row->shape != self->form->row->shape)
        return PyErr_Format(PyExc_TypeError, "become() takes a form to the same table and an owner");
    if (self->begun) return none();
    PyObject *form = (PyObject *)self->form, *owner = self->owner;
    Py_INCREF(args[0]), self->form = (Form *)args[0];
    Py_INCREF(args[1]), self->owner = args[1];
    Py_DECREF(form);
    Py_DECREF(owner);
    return none();
}

static PyObject *draft_owner(Draft *self, void *closure) {
    (void)closure;
    Py_INCREF(self->owner);
    return self->owner;
}

static PyObject *draft_is_over(Draft *self, void *closure) {
    (void)closure;
    PyObject *answer = draft_over(self) ? Py_True : Py_False;
    Py_INCREF(answer);
    return answer;
}

static PyObject *draft_elapsed(Draft *self, void *closure) {
    (void)closure;
    return PyFloat_FromDouble((double)age(self) * 1e-9);
}

static PyObject *draft_marked(Draft *self, void *closure) {
    (void)closure;
    return self->marked ? PyFloat_FromDouble((double)(self->marked - self->begun) * 1e-9) : none();
}

#define FAST(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL
static PyMethodDef methods[] = {
    {"__enter__", (PyCFunction)draft_enter, METH_NOARGS, "Start the clock; again is once."},
    {"__exit__", FAST(draft_exit), "Record what is ordinary; else finish(), or fail(problem)."},
    {"start", (PyCFunction)draft_start, METH_NOARGS, "As entering; abandon() is called if it is thrown away."},
    {"put", FAST(draft_put), "Set measures: index, value, index, value, ...; None leaves what is there."},
    {"count", FAST(draft_count), "As put, for whole numbers from 0 on; False, and none is set, when one is not."},
    {"units", (PyCFunction)draft_units, METH_O, "A measure in units of its cell, or None."},
    {"lap", (PyCFunction)draft_lap, METH_NOARGS, "Seconds since the lap before; None for the first, which is marked."},
    {"derive", (PyCFunction)draft_derive, METH_NOARGS, "Stop the clock and set what follows; None when over."},
    {"become", FAST(draft_become), "Take another form and owner, before it starts."},
    {"close", (PyCFunction)draft_close, METH_O, "End it, recorded into a row or not at all; False when it was over."},
    {"values", (PyCFunction)draft_values, METH_NOARGS, "All measures, in base units."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getters[] = {
    {"owner", (getter)draft_owner, NULL, "What it was made for.", NULL},
    {"over", (getter)draft_is_over, NULL, "Whether it has ended.", NULL},
    {"elapsed", (getter)draft_elapsed, NULL, "Seconds since it started; stands still once stopped.", NULL},
    {"marked", (getter)draft_marked, NULL, "Seconds from its start to the first lap, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, draft_dealloc},
    {Py_tp_finalize, draft_finalize},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_tp_doc, "A record in the making."},
    {0, NULL},
};
static PyType_Spec spec = {
    "tallygate.ledger._core.Draft", sizeof(Draft), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyTypeObject *make_draft_type(PyObject *module) {
    if ((fail_name = PyUnicode_InternFromString("fail")) == NULL ||
        (finish_name = PyUnicode_InternFromString("finish")) == NULL ||
        (abandon_name = PyUnicode_InternFromString("abandon")) == NULL ||
        (moved_name = PyUnicode_InternFromString("moved")) == NULL ||
        (link_name = PyUnicode_InternFromString("link")) == NULL)
        return NULL;
    return DraftType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
