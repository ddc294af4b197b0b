/* The door to the ledger for extensions of other rooms, which record as its own do and know nothing of how: found as the
 * capsule `_door` of tallygate.ledger._core. All calls need the GIL; none of those without a result can fail. */
#ifndef TALLYGATE_DOOR_H
#define TALLYGATE_DOOR_H

#include "python.h"

#define DOOR_MODULE  "tallygate.ledger._core"
#define DOOR_NAME    "tallygate.ledger._core._door"
#define DOOR_VERSION 1u

typedef struct { /* one more in a gauge, to be given back */
    void *gauge;
    uint32_t epoch;
} Stay;

typedef struct {
    uint32_t version;
    PyTypeObject *row, *form, *draft;
    PyObject *elapsed;      /* stands for the time that passed, among the values of record() */
    int64_t (*now)(void);   /* nanoseconds of the clock that times everything */

    /* Drafts */
    int (*measure_index)(PyObject *form, PyObject *number, uint32_t *index); /* -1 with an exception */
    PyObject *(*make)(PyObject *form, PyObject *owner, PyObject *place);     /* NULL with an exception */
    void (*start)(PyObject *draft); /* one that has just been made, in the place that is current */
    int (*going)(PyObject *draft);  /* it has started and is not over */
    void (*lap)(PyObject *draft, PyObject *row); /* as Draft.lap; the seconds are recorded into the row */
    /* Sets measures, records the nanoseconds into another row, and ends it as leaving its block does; -1 with an
     * exception. */
    int (*end)(PyObject *draft, const uint32_t *measures, const int64_t *units, uint32_t count, PyObject *row,
               int64_t nanoseconds);

    /* Rows */
    Stay (*enter)(PyObject *row); /* the row's first measure is a gauge */
    void (*leave)(PyObject *row, Stay stay);
    /* As Row.record; nothing in a forked child that took the stay over. */
    void (*record)(PyObject *row, Stay stay, PyObject *const *values, Py_ssize_t count, int64_t elapsed);
} Door;

#endif
