/* Form: what drafts of one kind to one row share. */
#include "draft.h"

PyTypeObject *FormType;

int index_in(const Form *form, PyObject *number, uint32_t *index) {
    long value = PyLong_AsLong(number);
    if (value == -1 && PyErr_Occurred()) return -1;
    if (value < 0 || value >= (long)form->row->shape->recorded_count) {
        PyErr_SetString(PyExc_IndexError, "no such measure");
        return -1;
    }
    *index = (uint32_t)value;
    return 0;
}

static int parse_sum(Form *form, PyObject *described) {
    Sum *sum = &form->sums[form->sum_count];
    PyObject *measure, *weights;
    long long constant;
    if (!PyArg_ParseTuple(described, "OLO!", &measure, &constant, &PyTuple_Type, &weights)) return -1;
    if (index_in(form, measure, &sum->measure) != 0) return -1;
    if (PyTuple_Size(weights) != (Py_ssize_t)form->source_count) {
        PyErr_SetString(PyExc_ValueError, "a sum needs one weight for each source");
        return -1;
    }
    sum->constant = constant;
    for (uint32_t i = 0; i < form->source_count; i++) {
        sum->weights[i] = PyLong_AsLongLong(PyTuple_GetItem(weights, i));
        if (sum->weights[i] == -1 && PyErr_Occurred()) return -1;
    }
    form->sum_count++;
    return 0;
}

static int parse_derivation(Form *form, PyObject *described) {
    PyObject *sources, *required, *sums, *rate, *rate_of;
    uint32_t index;
    if (!PyArg_ParseTuple(described, "O!O!O!OO", &PyTuple_Type, &sources, &PyTuple_Type, &required, &PyTuple_Type,
                          &sums, &rate, &rate_of))
        return -1;
    if (PyTuple_Size(sources) > (Py_ssize_t)MOST_SOURCES || PyTuple_Size(sums) > (Py_ssize_t)MOST_DERIVED) {
        PyErr_SetString(PyExc_ValueError, "a derivation has 8 sources and 8 sums at most");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(sources); i++)
        if (index_in(form, PyTuple_GetItem(sources, i), &form->sources[form->source_count++]) != 0) return -1;
    for (Py_ssize_t i = 0; i < PyTuple_Size(required); i++) {
        if (index_in(form, PyTuple_GetItem(required, i), &index) != 0) return -1;
        form->required |= 1u << index;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(sums); i++)
        if (parse_sum(form, PyTuple_GetItem(sums, i)) != 0) return -1;
    form->derives = 1;
    return index_in(form, rate, &form->rate) || index_in(form, rate_of, &form->rate_of) ? -1 : 0;
}

PyObject *form_new(Row *row, PyObject *const *args, Py_ssize_t count) {
    if (count != 7 || !PyType_Check(args[0]) || !PyType_IsSubtype((PyTypeObject *)args[0], DraftType) ||
        Py_TYPE(args[1]) != RowType)
        return PyErr_Format(PyExc_TypeError, "form() takes a kind of draft, a row, a measure, a derivation, a truth, two functions");
    if (row->shape->recorded_count > MOST_MEASURES)
        return PyErr_Format(PyExc_ValueError, "drafts have %u measures at most", MOST_MEASURES);
    Form *form = (Form *)PyType_GenericAlloc(FormType, 0);
    if (form == NULL) return NULL;
    Py_INCREF(args[0]), form->kind = (PyTypeObject *)args[0];
    form->release = (freefunc)PyType_GetSlot(form->kind, Py_tp_free);
    Py_INCREF(args[1]), form->going = (Row *)args[1];
    Py_INCREF((PyObject *)row), form->row = row;
    for (uint32_t i = 0; i < row->shape->recorded_count; i++)
        form->spots[i] = spot_of(&row->shape->recorded[i], row->cells);
    if (args[5] != Py_None) Py_INCREF(args[5]), form->where = args[5];
    if (args[6] != Py_None) Py_INCREF(args[6]), form->traced = args[6];
    if (index_in(form, args[2], &form->duration) != 0 ||
        (args[3] != Py_None && parse_derivation(form, args[3]) != 0) ||
        (form->direct = PyObject_IsTrue(args[4])) < 0) {
        Py_DECREF((PyObject *)form);
        return NULL;
    }
    return (PyObject *)form;
}

/* The functions are a program's: they may well lead back here. */
static int form_traverse(Form *form, visitproc visit, void *arg) {
    Py_VISIT((PyObject *)form->kind);
    Py_VISIT(form->where);
    Py_VISIT(form->traced);
    Py_VISIT((PyObject *)Py_TYPE((PyObject *)form));
    return 0;
}

static int form_clear(Form *form) {
    Py_CLEAR(form->where);
    Py_CLEAR(form->traced);
    return 0;
}

static void form_dealloc(Form *form) {
    PyTypeObject *type = Py_TYPE((PyObject *)form);
    PyObject_GC_UnTrack(form);
    form_clear(form);
    Py_XDECREF((PyObject *)form->kind);
    Py_XDECREF((PyObject *)form->going);
    Py_XDECREF((PyObject *)form->row);
    PyObject_GC_Del(form);
    Py_DECREF((PyObject *)type);
}

Draft *draft_new(Form *form, PyObject *owner, PyObject *place) {
    Draft *draft = (Draft *)PyType_GenericAlloc(form->kind, 0);
    if (draft == NULL) return NULL;
    Py_INCREF((PyObject *)form), draft->form = form;
    Py_INCREF(owner), draft->owner = owner;
    Py_INCREF(place), draft->place = place;
    return draft;
}

static PyObject *form_draft(Form *self, PyObject *const *args, Py_ssize_t count) {
    if (unlikely(count != 2)) return PyErr_Format(PyExc_TypeError, "draft() takes an owner and a place");
    return (PyObject *)draft_new(self, args[0], args[1]);
}

static PyMethodDef form_methods[] = {
    {"draft", (PyCFunction)(void (*)(void))form_draft, METH_FASTCALL, "A new draft for this owner, made in this place."},
    {"batch", (PyCFunction)(void (*)(void))batch_new, METH_FASTCALL, "The end of such drafts, and rows of other tables."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot form_slots[] = {
    {Py_tp_dealloc, form_dealloc},
    {Py_tp_traverse, form_traverse},
    {Py_tp_clear, form_clear},
    {Py_tp_methods, form_methods},
    {Py_tp_doc, "What drafts share."},
    {0, NULL},
};
static PyType_Spec form_spec = {"tallygate.ledger._core.Form", sizeof(Form), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                    Py_TPFLAGS_IMMUTABLETYPE,
                                form_slots};

PyTypeObject *make_form_type(PyObject *module) {
    return FormType = (PyTypeObject *)PyType_FromModuleAndSpec(module, &form_spec, NULL);
}
