/* Exemplars: a few thousand slots per table, found by the cell they belong to.
 *
 * Nobody locks a slot: a writer stores seven words and their checksum, a reader believes words that fit the
 * checksum. Two writers at once, or one that died, leave a slot that nobody believes until it is written again.
 */
#include "core.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Slots looked at for one cell. In a smaller window exemplars would push each other out long before the slots are full:
 * the newest of a series may go, and Prometheus complains of the older one that is seen in its place. */
#define WINDOW 32

typedef struct {
    _Atomic uint64_t words[8]; /* cell, trace (2), span, value, time, unused, checksum */
} Slot;

static uint64_t checksum(const uint64_t words[8]) {
    uint64_t sum = 0x243F6A8885A308D3u;
    for (int i = 0; i < 7; i++) {
        sum = (sum ^ words[i]) * 0x9E3779B97F4A7C15u;
        sum ^= sum >> 29;
    }
    return sum | 1; /* never that of an empty slot */
}

static int digits(PyObject *text, Py_ssize_t count, uint64_t *words) {
    Py_ssize_t size;
    if (!PyUnicode_Check(text)) return -1;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    if (bytes == NULL) PyErr_Clear();
    if (bytes == NULL || size != count) return -1;
    uint64_t any = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i], lower = c | 0x20;
        uint64_t digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
        if (digit == 16) return -1;
        words[i / 16] = words[i / 16] << 4 | digit;
        any |= digit;
    }
    return any ? 0 : -1;
}

int exemplar_ids(PyObject *trace_id, PyObject *span_id, uint64_t trace[2], uint64_t *span) {
    trace[0] = trace[1] = *span = 0;
    return digits(trace_id, 32, trace) == 0 && digits(span_id, 16, span) == 0 ? 0 : -1;
}

static Slot *slots_of(const Segment *segment, uint32_t table) {
    uint64_t offset = atomic_load_explicit(&segment->tables[table].exemplars, acquire);
    return offset && segment_holds(segment, offset, EXEMPLAR_SLOTS * sizeof(Slot)) ? at(segment, offset) : NULL;
}

static Slot *make_slots(Segment *segment, uint32_t table) {
    PyThreadState *state = PyEval_SaveThread();
    if (segment_lock(segment) == 0) {
        uint64_t size = EXEMPLAR_SLOTS * sizeof(Slot);
        if (slots_of(segment, table) == NULL) {
            uint64_t offset = segment_allocate(segment, size);
            if (offset) {
                segment_publish(segment, offset, size);
                atomic_store_explicit(&segment->tables[table].exemplars, offset, release);
            }
        }
        segment_unlock(segment);
    }
    PyEval_RestoreThread(state);
    return slots_of(segment, table);
}

void exemplar_keep(Shape *shape, Cell *cell, const uint64_t trace[2], uint64_t span, double value) {
    Segment *segment = shape->book->segment;
    Slot *slots = slots_of(segment, shape->number);
    if (slots == NULL && (slots = make_slots(segment, shape->number)) == NULL) return;
    uint64_t index = (uint64_t)((char *)cell - segment->base) / 8, home = index * 0x9E3779B97F4A7C15u >> 32;
    Slot *chosen = NULL;
    double oldest = INFINITY;
    for (uint32_t i = 0; i < WINDOW; i++) {
        Slot *slot = &slots[(home + i) & (EXEMPLAR_SLOTS - 1)];
        uint64_t owner = atomic_load_explicit(&slot->words[0], relaxed),
                 bits = atomic_load_explicit(&slot->words[5], relaxed);
        double time;
        memcpy(&time, &bits, sizeof time);
        if (owner == index) {
            chosen = slot;
            break;
        }
        if (time < oldest) chosen = slot, oldest = time; /* an empty one has time 0 */
    }
    if (chosen == NULL) return;
    double now = clock_seconds(CLOCK_REALTIME);
    uint64_t words[8] = {index, trace[0], trace[1], span};
    memcpy(&words[4], &value, sizeof value);
    memcpy(&words[5], &now, sizeof now);
    words[7] = checksum(words);
    for (int i = 0; i < 8; i++) atomic_store_explicit(&chosen->words[i], words[i], relaxed);
}

static PyObject *exemplar_of(const uint64_t words[8]) {
    char trace[33], span[17];
    double value, time;
    for (int i = 0; i < 32; i++) trace[i] = "0123456789abcdef"[words[1 + i / 16] >> (60 - i % 16 * 4) & 15];
    for (int i = 0; i < 16; i++) span[i] = "0123456789abcdef"[words[3] >> (60 - i * 4) & 15];
    trace[32] = span[16] = 0;
    memcpy(&value, &words[4], sizeof value);
    memcpy(&time, &words[5], sizeof time);
    return PyObject_CallFunction(exemplar_type, "Kssdd", (unsigned long long)words[0], trace, span, value, time);
}

PyObject *exemplars_list(Book *book) {
    PyObject *list = PyList_New(0);
    for (uint32_t table = 0; list && table < book->table_count; table++) {
        Slot *slots = slots_of(book->segment, table);
        for (uint32_t i = 0; slots && list && i < EXEMPLAR_SLOTS; i++) {
            uint64_t words[8];
            for (int word = 0; word < 8; word++) words[word] = atomic_load_explicit(&slots[i].words[word], relaxed);
            if (words[0] == 0 || words[7] != checksum(words)) continue;
            PyObject *exemplar = exemplar_of(words);
            if (exemplar == NULL || PyList_Append(list, exemplar) != 0) Py_CLEAR(list);
            Py_XDECREF(exemplar);
        }
    }
    return list;
}
