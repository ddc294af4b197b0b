/* Door: what extensions of other rooms are given. */
#include "door.h"
#include "draft.h"

static int draft_measure_index(PyObject *form, PyObject *number, uint32_t *index) {
    return index_in((Form *)form, number, index);
}

static PyObject *make(PyObject *form, PyObject *owner, PyObject *place) {
    return (PyObject *)draft_new((Form *)form, owner, place);
}

static void start(PyObject *draft) { draft_start_here((Draft *)draft); }

static int going(PyObject *draft) { return ((Draft *)draft)->begun && !draft_over((Draft *)draft); }

/* One record of a row whose first recorded measure is a time. */
static void record_time(Row *row, int64_t nanoseconds) {
    const Measure *seconds = &row->shape->recorded[0];
    int alone = adds_alone(row->shape->book);
    if (unlikely(row_closed(row))) return;
    cell_grow(row->cells, 1, alone);
    if (!cell_add(seconds, row->cells, nano_units(seconds, nanoseconds), alone)) count_dropped(row->shape->book, 1);
}

static void lap(PyObject *object, PyObject *row) {
    Draft *draft = (Draft *)object;
    int64_t now = clock_nanoseconds(), last = draft->lapped;
    draft->lapped = now;
    if (unlikely(!last))
        draft->marked = now;
    else if (likely(!draft_inherited(draft)))
        record_time((Row *)row, now - last);
}

static int end(PyObject *object, const uint32_t *measures, const int64_t *units, uint32_t count, PyObject *row,
               int64_t nanoseconds) {
    Draft *draft = (Draft *)object;
    for (uint32_t i = 0; i < count; i++) put_units(draft, measures[i], units[i]);
    if (likely(!draft_inherited(draft))) record_time((Row *)row, nanoseconds);
    return draft_leave(draft);
}

static Stay enter(PyObject *object) {
    Row *row = (Row *)object;
    return (Stay){gauge_take(row, row->shape->measures), atomic_load_explicit(&fork_epoch, relaxed)};
}

static void leave(PyObject *row, Stay stay) { gauge_return((Row *)row, stay.gauge, stay.epoch); }

static void record(PyObject *row, Stay stay, PyObject *const *values, Py_ssize_t count, int64_t elapsed) {
    if (likely(stay.epoch == atomic_load_explicit(&fork_epoch, relaxed)))
        record_into((Row *)row, values, count, elapsed, -1);
}

static Door door = {
    .version = DOOR_VERSION,
    .now = clock_nanoseconds,
    .measure_index = draft_measure_index,
    .make = make,
    .start = start,
    .going = going,
    .lap = lap,
    .end = end,
    .enter = enter,
    .leave = leave,
    .record = record,
};

int add_door(PyObject *module) {
    door.row = RowType, door.form = FormType, door.draft = DraftType;
    door.elapsed = elapsed_mark;
    PyObject *capsule = PyCapsule_New(&door, DOOR_NAME, NULL);
    int added = capsule == NULL ? -1 : PyModule_AddObjectRef(module, "_door", capsule);
    Py_XDECREF(capsule);
    return added;
}
