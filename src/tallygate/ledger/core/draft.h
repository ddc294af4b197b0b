/* Form: what drafts share: where they go, and what follows from their measures when nothing special happened.
 * Draft: a record in the making: a clock, a gauge given back exactly once, and the measures learnt so far. */
#ifndef TALLYGATE_DRAFT_H
#define TALLYGATE_DRAFT_H

#include "record.h"

#define MOST_MEASURES 24u
#define MOST_SOURCES  8u
#define MOST_DERIVED  8u

typedef struct {
    uint32_t measure;
    int64_t constant, weights[MOST_SOURCES];
} Sum;

typedef struct {
    PyObject_HEAD
    PyTypeObject *kind; /* of its drafts */
    freefunc release;   /* the kind's */
    PyObject *where; /* NULL, or tells the place; a draft that starts in another than it was made in has moved */
    PyObject *traced; /* NULL, or tells the trace that is current */
    Row *going, *row;
    uint32_t duration, required;        /* required: bits of the measures without which nothing is derived */
    uint32_t sources[MOST_SOURCES], source_count;
    uint32_t rate, rate_of, sum_count;  /* rate: rate_of per second */
    int derives, direct;
    _Atomic uint32_t usual; /* bits of the measures that the last record had: most have the same */
    Sum sums[MOST_DERIVED];
    Spot spots[MOST_MEASURES]; /* of row */
} Form;

typedef struct {
    PyObject_HEAD
    Form *form;
    PyObject *owner, *place;
    GaugeCell *gauge;
    uint32_t epoch, set; /* set: bits of the measures that have a value */
    _Atomic int done;
    int held;
    int64_t begun, marked, lapped, stopped; /* nanoseconds; 0: not yet */
    int64_t units[MOST_MEASURES];
} Draft;

extern PyTypeObject *FormType;
int index_in(const Form *form, PyObject *number, uint32_t *index); /* a measure's index; -1 with an exception */
Draft *draft_new(Form *form, PyObject *owner, PyObject *place);
PyObject *draft_start(Draft *draft, PyObject *unused);
void draft_start_here(Draft *draft); /* the same for one that has just been made in the place that is current */
int draft_leave(Draft *draft); /* its block is left without an exception; -1 with one of its own */
PyObject *batch_new(Form *form, PyObject *const *args, Py_ssize_t count);

static inline int draft_over(const Draft *draft) { return atomic_load_explicit(&draft->done, relaxed); }

/* One that a fork took over is its parent's to record. */
static inline int draft_inherited(const Draft *draft) {
    return draft->begun && draft->epoch != atomic_load_explicit(&fork_epoch, relaxed);
}

static inline void put_units(Draft *draft, uint32_t index, int64_t units) {
    draft->units[index] = units;
    draft->set |= 1u << index;
}

#endif
