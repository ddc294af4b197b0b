/* Rows: packing their values, finding them, and the protocol by which one comes to exist.
 *
 * A row exists from the moment its predecessor's `next` points at it, which is one atomic store after everything
 * else is in place. Who dies before has left unused space at the end; who dies after has left nothing to do.
 */
#include "core.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- values ---- */

static int put(Values *values, uint32_t *room, const char *text, size_t size) {
    if (size > VALUE_LIMIT) {
        size = VALUE_LIMIT;
        while (size && ((unsigned char)text[size] & 0xC0) == 0x80) size--; /* back to a character's start */
        values->exact = 0;
    }
    if (values->size + 2 + size > *room) {
        uint32_t bigger = *room * 2 + (uint32_t)size;
        unsigned char *bytes = realloc(values->bytes, bigger);
        if (bytes == NULL) return -1;
        values->bytes = bytes, *room = bigger;
    }
    unsigned char *end = values->bytes + values->size;
    end[0] = (unsigned char)(size & 0xFF), end[1] = (unsigned char)(size >> 8);
    memcpy(end + 2, text, size);
    values->size += 2 + (uint32_t)size;
    return 0;
}

/* Lone surrogates become U+FFFD: both take three bytes, so this is done in place. */
static int put_surrogates(Values *values, uint32_t *room, PyObject *string) {
    char *text;
    Py_ssize_t size;
    PyErr_Clear();
    PyObject *encoded = PyUnicode_AsEncodedString(string, "utf-8", "surrogatepass");
    if (encoded == NULL || PyBytes_AsStringAndSize(encoded, &text, &size) != 0) {
        PyErr_Clear();
        Py_XDECREF(encoded);
        return -1;
    }
    for (Py_ssize_t i = 0; i + 2 < size; i++)
        if ((unsigned char)text[i] == 0xED && (unsigned char)text[i + 1] >= 0xA0) memcpy(text + i, "\xEF\xBF\xBD", 3);
    values->exact = 0;
    int outcome = put(values, room, text, (size_t)size);
    Py_DECREF(encoded);
    return outcome;
}

int values_pack(Values *values, PyObject *const *strings, Py_ssize_t count) {
    uint32_t room = 256;
    *values = (Values){.bytes = malloc(room), .exact = 1};
    if (values->bytes == NULL) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size;
        int outcome = -1;
        if (PyUnicode_Check(strings[i])) {
            const char *text = PyUnicode_AsUTF8AndSize(strings[i], &size);
            outcome = text ? put(values, &room, text, (size_t)size) : put_surrogates(values, &room, strings[i]);
        }
        if (outcome != 0) {
            values_free(values);
            return -1;
        }
    }
    return 0;
}

void values_free(Values *values) {
    free(values->bytes);
    values->bytes = NULL;
}

static uint64_t hash_of(uint64_t seed, const unsigned char *bytes, uint32_t size) {
    uint64_t hash = seed ^ 0xCBF29CE484222325u;
    for (uint32_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
    hash ^= hash >> 32;
    return hash * 0x9E3779B97F4A7C15u;
}

/* ---- what this process has seen of a table ---- */

static void place(Index *index, uint32_t number) {
    uint32_t spot = (uint32_t)(index->rows[number]->hash >> 32) & index->mask;
    while (index->map[spot]) spot = (spot + 1) & index->mask;
    index->map[spot] = number + 1;
}

static int append(Index *index, RowRecord *row) {
    if (index->count == index->room) {
        uint32_t room = index->room ? index->room * 2 : 16;
        RowRecord **rows = realloc(index->rows, room * sizeof *rows);
        if (rows == NULL) return -1;
        index->rows = rows;
        uint32_t *map = calloc(room * 2, sizeof *map);
        if (map == NULL) return -1;
        free(index->map);
        index->room = room;
        index->map = map, index->mask = room * 2 - 1;
        for (uint32_t i = 0; i < index->count; i++) place(index, i);
    }
    index->rows[index->count++] = row;
    place(index, index->count - 1);
    return 0;
}

static RowRecord *record_at(const Segment *segment, uint64_t offset) {
    if (offset == 0 || !segment_holds(segment, offset, sizeof(RowRecord))) return NULL;
    RowRecord *row = at(segment, offset);
    return segment_holds(segment, offset, sizeof *row + row->size) && segment_holds(segment, row->cells, 8) ? row
                                                                                                            : NULL;
}

void index_sync(Segment *segment, uint32_t table) {
    Index *index = &segment->indexes[table];
    for (;;) {
        Offset *link = index->count ? &index->rows[index->count - 1]->next : &segment->tables[table].first_row;
        RowRecord *row = record_at(segment, atomic_load_explicit(link, acquire));
        if (row == NULL || append(index, row) != 0) return;
    }
}

static RowRecord *index_find(const Index *index, uint64_t hash, const unsigned char *bytes, uint32_t size) {
    if (index->count == 0) return NULL;
    for (uint32_t spot = (uint32_t)(hash >> 32) & index->mask; index->map[spot]; spot = (spot + 1) & index->mask) {
        RowRecord *row = index->rows[index->map[spot] - 1];
        if (row->hash == hash && row->size == size && memcmp(row->values, bytes, size) == 0) return row;
    }
    return NULL;
}

void indexes_free(Segment *segment) {
    for (uint32_t table = 0; table < segment->table_count; table++) {
        free(segment->indexes[table].rows);
        free(segment->indexes[table].map);
    }
    free(segment->indexes);
}

uint32_t rows_known(Segment *segment, uint32_t table) {
    pthread_mutex_lock(&segment->mutex);
    index_sync(segment, table);
    uint32_t count = segment->indexes[table].count;
    pthread_mutex_unlock(&segment->mutex);
    return count;
}

/* ---- creation ---- */

static RowRecord *make(Segment *segment, uint32_t table, const RowForm *form, const unsigned char *bytes, uint32_t size,
                       uint64_t hash) {
    Index *index = &segment->indexes[table];
    uint64_t head = round_up(sizeof(RowRecord) + size, LINE), whole = head + (uint64_t)form->cells * 8;
    CRASH_POINT(1);
    uint64_t offset = segment_allocate(segment, whole);
    if (offset == 0) return NULL;
    CRASH_POINT(3);
    RowRecord *row = at(segment, offset);
    row->hash = hash, row->size = size, row->index = index->count, row->cells = offset + head;
    row->created = clock_seconds(CLOCK_REALTIME);
    CRASH_POINT(4);
    memcpy(row->values, bytes, size);
    CRASH_POINT(5);
    segment_publish(segment, offset, whole);
    CRASH_POINT(6);
    Offset *link = index->count ? &index->rows[index->count - 1]->next : &segment->tables[table].first_row;
    atomic_store_explicit(link, offset, release);
    CRASH_POINT(7);
    append(index, row);
    return row;
}

RowRecord *row_make_overflow(Segment *segment, uint32_t table, const RowForm *form) {
    unsigned char bytes[64 * 7];
    for (uint32_t i = 0; i < form->dimensions; i++) memcpy(bytes + i * 7, "\5\0other", 7);
    uint32_t size = form->dimensions * 7;
    return make(segment, table, form, bytes, size, hash_of(segment->header->seed, bytes, size));
}

RowRecord *row_find_or_make(Segment *segment, uint32_t table, const RowForm *form, const Values *values) {
    Index *index = &segment->indexes[table];
    uint64_t hash = hash_of(segment->header->seed, values->bytes, values->size);
    pthread_mutex_lock(&segment->mutex);
    index_sync(segment, table);
    RowRecord *row = index_find(index, hash, values->bytes, values->size);
    int full = index->count > form->budget; /* the overflow row is not counted */
    pthread_mutex_unlock(&segment->mutex);
    if (row) return row;
    if (!full && segment_lock(segment) == 0) {
        index_sync(segment, table); /* somebody else may have been quicker */
        row = index_find(index, hash, values->bytes, values->size);
        if (row == NULL && index->count > 0 && index->count <= form->budget)
            row = make(segment, table, form, values->bytes, values->size, hash);
        segment_unlock(segment);
        if (row) return row;
    }
    atomic_fetch_add_explicit(&segment->header->overflowed, 1, relaxed);
    return at(segment, atomic_load_explicit(&segment->tables[table].first_row, relaxed));
}
