/* The module tallygate.exposition._render: render(), with the GIL only where Python objects are touched. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    PyObject *family_type;
} State;

typedef struct {
    Py_buffer *views;
    size_t count;
} Views;

static bool take_families(Page *page, PyObject *families, PyObject *type) {
    page->shown_count = (size_t)PyTuple_Size(families);
    page->shown = calloc(page->shown_count + 1, sizeof *page->shown);
    if (page->shown == NULL) return page->shown_count = 0, PyErr_NoMemory(), false;
    for (size_t i = 0; i < page->shown_count; i++) {
        PyObject *item = PyTuple_GetItem(families, (Py_ssize_t)i);
        if (!PyObject_TypeCheck(item, (PyTypeObject *)type)) {
            page->shown_count = i; /* only these were begun */
            return PyErr_SetString(PyExc_TypeError, "render() takes families of its own kind"), false;
        }
        Family *family = (Family *)item;
        atomic_fetch_add(&family->pages, 1);
        /* Sources before series: so that the series of every source is among those taken. */
        uint32_t sources = atomic_load_explicit(&family->sources_count, memory_order_acquire);
        uint32_t series = atomic_load_explicit(&family->series_count, memory_order_acquire);
        page->shown[i] = (Shown){family, series, sources};
    }
    return true;
}

static bool take_buffers(Page *page, Views *views, PyObject *buffers) {
    size_t count = (size_t)PyTuple_Size(buffers);
    views->views = calloc(count + 1, sizeof *views->views);
    page->buffers = calloc(count + 1, sizeof *page->buffers);
    if (views->views == NULL || page->buffers == NULL) return PyErr_NoMemory(), false;
    for (; views->count < count; views->count++) {
        Py_buffer *view = &views->views[views->count];
        if (PyObject_GetBuffer(PyTuple_GetItem(buffers, (Py_ssize_t)views->count), view, PyBUF_CONTIG_RO | PyBUF_FORMAT))
            return false;
        if (view->itemsize != 8 || view->format == NULL || strchr("ql", view->format[strlen(view->format) - 1]) == NULL) {
            PyBuffer_Release(view);
            return PyErr_SetString(PyExc_TypeError, "a buffer of cells has signed 64-bit items"), false;
        }
        page->buffers[views->count] = (Cells){view->buf, (uint64_t)(view->len / 8)};
    }
    page->buffers_count = count;
    return true;
}

static PyObject *make_page(Page *page) {
    Outcome outcome;
    Py_BEGIN_ALLOW_THREADS;
    outcome = page_read(page);
    Py_END_ALLOW_THREADS;
    if (outcome == NO_MEMORY) return PyErr_NoMemory();
    if (outcome == OUTSIDE) {
        PyObject *name = PyBytes_FromStringAndSize(page->failed->layouts[TEXT].name.text,
                                                   (Py_ssize_t)page->failed->layouts[TEXT].name.length);
        if (name == NULL) return NULL;
        PyErr_Format(PyExc_IndexError, "family '%s' reads cell %llu of buffer %u, which is not there",
                     PyBytes_AsString(name), (unsigned long long)page->failed_cell, page->failed_buffer);
        Py_DECREF(name);
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)page->size);
    if (bytes == NULL) return NULL;
    char *start = PyBytes_AsString(bytes), *end; /* nobody else has seen the object: it may be filled without the GIL */
    Py_BEGIN_ALLOW_THREADS;
    end = page_write(page, start);
    page_free(page); /* giving back megabytes takes its time too */
    Py_END_ALLOW_THREADS;
    if ((size_t)(end - start) != page->size) Py_FatalError("tallygate: a page is not as long as it was measured");
    return bytes;
}

static PyObject *render(PyObject *module, PyObject *args) {
    PyObject *families, *buffers, *exemplars, *bytes = NULL;
    const char *format;
    State *state = PyModule_GetState(module);
    if (!PyArg_ParseTuple(args, "OOsO:render", &families, &buffers, &format, &exemplars)) return NULL;
    Page page = {.format = TEXT};
    Views views = {NULL, 0};
    if (strcmp(format, "openmetrics") == 0)
        page.format = OPENMETRICS;
    else if (strcmp(format, "text") != 0)
        return PyErr_Format(PyExc_ValueError, "format '%s' is none of text, openmetrics", format);
    families = PySequence_Tuple(families); /* tuples of our own: they keep all of it alive */
    buffers = families ? PySequence_Tuple(buffers) : NULL;
    if (buffers == NULL) return Py_XDECREF(families), NULL;
    if ((page.format == TEXT || exemplars_take(&page.exemplars, exemplars)) &&
        take_families(&page, families, state->family_type) && take_buffers(&page, &views, buffers))
        bytes = make_page(&page);
    for (size_t i = 0; i < page.shown_count; i++) atomic_fetch_sub(&page.shown[i].family->pages, 1);
    page_free(&page);
    free(page.shown);
    free(page.buffers);
    for (size_t i = 0; i < views.count; i++) PyBuffer_Release(&views.views[i]);
    free(views.views);
    Py_DECREF(families);
    Py_DECREF(buffers);
    return bytes;
}

static PyMethodDef functions[] = {
    {"render", render, METH_VARARGS, "render(families, buffers, format, exemplars) -> bytes"},
    {NULL, NULL, 0, NULL},
};

static int start(PyObject *module) {
    State *state = PyModule_GetState(module);
    if (!numbers_start()) return PyErr_NoMemory(), -1;
    state->family_type = PyType_FromModuleAndSpec(module, &family_spec, NULL);
    if (state->family_type == NULL) return -1;
    Py_INCREF(state->family_type);
    if (PyModule_AddObject(module, "Family", state->family_type) < 0) return Py_DECREF(state->family_type), -1;
    return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    State *state = PyModule_GetState(module);
    Py_VISIT(state->family_type);
    return 0;
}

static int clear(PyObject *module) {
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->family_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, start},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallygate.exposition._render",
    .m_doc = "The compiled renderer.",
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = module_slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__render(void) { return PyModuleDef_Init(&definition); }
