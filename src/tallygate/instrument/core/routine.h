/* Reading: where replies of one kind tell what they used. Routine: how calls like one before are recorded.
 * RoutineCall: one of them. Routines: all of one library. */
#ifndef TALLYGATE_ROUTINE_H
#define TALLYGATE_ROUTINE_H

#include "core.h"

#define MOST_NAMES  4u
#define MOST_COUNTS 12u
#define MOST_TESTS  6u
#define MOST_LABELS 6u
#define MOST_GUARDS 6u
#define READS       5u /* tokens of input and output, read from and written to a cache, of reasoning */

typedef struct { /* members within members; "*" are all items of a list */
    PyObject *names[MOST_NAMES];
    uint32_t length;
} Path;

typedef struct {
    Path path;
    uint32_t target;
    int required;
} Count;

typedef struct {
    Path path;
    PyObject *values;
    int among;
} Test;

typedef struct {
    Test all[MOST_TESTS];
    uint32_t count;
} Tests;

typedef struct {
    PyObject_HEAD
    PyObject *usage, *total; /* names of members; total: NULL when nobody tells it */
    int closed;              /* an object with members that its class did not foresee is left to others */
    Count counts[MOST_COUNTS];
    uint32_t count_count;
    Tests tests;
} Reading;

typedef struct { /* holds as long as this member of the dict is this object */
    PyObject *dict, *key, *value; /* dict: NULL for that of the client */
} Guard;

typedef struct {
    PyObject_HEAD
    Reading *reading;
    PyObject *form, *owner, *about;
    PyObject *request; /* row of the request's fact, whose first measure is its duration */
    uint32_t measures[READS];
    Guard guards[MOST_GUARDS];
    uint32_t guard_count;
} Routine;

typedef struct {
    PyObject_HEAD
    Routine *routine;
    PyObject *draft;
    PyObject *full, *answer; /* full: NULL, or what others have made of it, who see to it from then on */
    int64_t sent, answered;  /* nanoseconds; 0: not yet */
} RoutineCall;

extern PyTypeObject *ReadingType, *RoutineType, *RoutineCallType;
int tests_parse(Tests *tests, PyObject *described); /* -1 with an exception */
void tests_clear(Tests *tests);
int tests_passed(const Tests *tests, PyObject *source);
int path_parse(Path *path, PyObject *names); /* -1 with an exception */
void path_clear(Path *path);
PyObject *members_of(PyObject *source); /* a new reference, as member(); NULL, without an exception, for none */
PyObject *member(PyObject *source, PyObject *name);
extern PyObject *every_item;
int reading_read(const Reading *self, PyObject *reply, int64_t *read); /* 0: leave it to others */

#endif
