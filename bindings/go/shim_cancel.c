#include "shim_cancel.h"

ostler_go_created ostler_go_cancel_create(void)
{
    ostler_cancel *cancel = NULL;
    ostler_go_failure failed = failure(ostler_cancel_create(&cancel));
    return (ostler_go_created){failed, (uintptr_t)cancel};
}

ostler_go_failure ostler_go_cancel_signal(uintptr_t cancel)
{
    return failure(ostler_cancel_signal((ostler_cancel *)cancel));
}

ostler_go_failure ostler_go_cancel_destroy(uintptr_t cancel)
{
    return failure(ostler_cancel_destroy((ostler_cancel *)cancel));
}
