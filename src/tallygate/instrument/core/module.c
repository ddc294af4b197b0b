/* The module tallygate.instrument._core. */
#include "core.h"

const Door *ledger;

static int open_door(PyObject *module) {
    PyObject *core = PyImport_ImportModule(DOOR_MODULE);
    PyObject *capsule = core ? PyObject_GetAttrString(core, "_door") : NULL;
    ledger = capsule ? PyCapsule_GetPointer(capsule, DOOR_NAME) : NULL;
    Py_XDECREF(capsule);
    Py_XDECREF(core);
    if (ledger == NULL) return -1;
    if (ledger->version != DOOR_VERSION) {
        PyErr_SetString(PyExc_ImportError, "tallygate.ledger._core is of another version; install tallygate again");
        return -1;
    }
    return PyModule_AddType(module, ledger->row) == 0 && PyModule_AddType(module, ledger->form) == 0 ? 0 : -1;
}

static int execute(PyObject *module) {
    return open_door(module) == 0 && make_reading_type(module) == 0 && make_delta_type(module) == 0 &&
                   make_routine_types(module) == 0 && make_routines_type(module) == 0 && make_exchange_types(module) == 0
               ? 0
               : -1;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallygate.instrument._core",
    .m_doc = "The compiled part of the instrumentations.",
    .m_size = 0,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
