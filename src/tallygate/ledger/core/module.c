/* The module tallygate.ledger._core. */
#include "core.h"

PyObject *ledger_error, *row_view_type, *exemplar_type, *statistics_type, *elapsed_mark, *marked_mark;
PyObject *ledger_open(PyObject *module, PyObject *args);

static PyObject *nothing(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module, (void)args, (void)count;
    return none();
}

static PyObject *crash_at(PyObject *module, PyObject *step) {
    (void)module;
    crash_step = (int)PyLong_AsLong(step);
    return PyErr_Occurred() ? NULL : none();
}

static PyMethodDef functions[] = {
    {"open", ledger_open, METH_VARARGS,
     "Open a ledger: path or None, capacity, workers, schema text, descriptions of the tables."},
    {"_nothing", (PyCFunction)(void (*)(void))nothing, METH_FASTCALL, "Does nothing: what a call costs by itself."},
    {"_crash_at", crash_at, METH_O, "For tests: kill this process at this step of its next creation; 0 is never."},
    {NULL, NULL, 0, NULL},
};

static int borrow(PyObject *module, const char *name, PyObject **place) {
    *place = PyObject_GetAttrString(module, name);
    return *place ? 0 : -1;
}

static int execute(PyObject *module) {
    if (RowType != NULL) {
        PyErr_SetString(PyExc_ImportError, "tallygate.ledger._core can be loaded once per process only");
        return -1;
    }
    PyObject *interface = PyImport_ImportModule("tallygate.ledger.interface");
    if (interface == NULL) return -1;
    int failed = borrow(interface, "LedgerError", &ledger_error) || borrow(interface, "RowView", &row_view_type) ||
                 borrow(interface, "Exemplar", &exemplar_type) || borrow(interface, "Statistics", &statistics_type) ||
                 borrow(interface, "ELAPSED", &elapsed_mark) || borrow(interface, "MARKED", &marked_mark);
    Py_DECREF(interface);
    if (failed) return -1;
    if (PyModule_AddIntConstant(module, "_CRASH_STEPS", CRASH_STEPS) != 0) return -1;
    if (register_fork_handlers() != 0) return PyErr_NoMemory(), -1;
    if (!make_table_type(module) || !make_ledger_type(module) || !make_activity_type(module) ||
        !make_draft_type(module) || !make_form_type(module) || !make_batch_type(module)) return -1;
    return make_row_type(module) ? add_door(module) : -1;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallygate.ledger._core",
    .m_doc = "The compiled core of the ledger.",
    .m_size = 0,
    .m_methods = functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
