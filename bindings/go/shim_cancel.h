#ifndef OSTLER_GO_SHIM_CANCEL_H
#define OSTLER_GO_SHIM_CANCEL_H

#include "shim.h"

ostler_go_created ostler_go_cancel_create(void);
ostler_go_failure ostler_go_cancel_signal(uintptr_t cancel);
ostler_go_failure ostler_go_cancel_destroy(uintptr_t cancel);

#endif
