/* The compiled part of the instrumentations: what its files share. */
#ifndef TALLYGATE_INSTRUMENT_CORE_H
#define TALLYGATE_INSTRUMENT_CORE_H

#include "../../ledger/core/door.h"

extern const Door *ledger;

int make_reading_type(PyObject *module); /* -1 with an exception, as the others */
int make_delta_type(PyObject *module);
int make_routine_types(PyObject *module); /* Routine and RoutineCall */
int make_routines_type(PyObject *module);
int make_exchange_types(PyObject *module); /* Exchange and Passage */

#endif
