/* Python, and words that all files use. */
#ifndef TALLYGATE_PYTHON_H
#define TALLYGATE_PYTHON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <pyconfig.h>
#ifdef Py_GIL_DISABLED
#undef Py_LIMITED_API /* free-threaded CPython has no stable ABI: built for that version alone */
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline PyObject *none(void) {
    Py_INCREF(Py_None);
    return Py_None;
}

#endif
