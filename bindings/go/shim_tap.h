#ifndef OSTLER_GO_SHIM_TAP_H
#define OSTLER_GO_SHIM_TAP_H

#include "shim_pool.h"

ostler_go_memory ostler_go_tap_open(uintptr_t pool);
ostler_go_leased ostler_go_tap_acquire_now(ostler_tap *tap);
ostler_go_leased ostler_go_tap_acquire_shared(ostler_tap *tap);
ostler_go_failure ostler_go_tap_release(ostler_tap *tap, uint64_t lease);
ostler_go_failure ostler_go_tap_discard(ostler_tap *tap, uint64_t lease);
ostler_go_failure ostler_go_tap_close(ostler_tap *tap);

#endif
