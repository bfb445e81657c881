#ifndef OSTLER_GO_SHIM_GOVERNOR_H
#define OSTLER_GO_SHIM_GOVERNOR_H

#include "shim.h"

typedef struct ostler_go_counted {
    ostler_go_failure failure;
    uint64_t count;
} ostler_go_counted;

typedef struct ostler_go_reclaimed {
    ostler_go_failure failure;
    uint64_t count;
    uint64_t freed_bytes;
} ostler_go_reclaimed;

ostler_go_failure ostler_go_governor_configure(ostler_governor_config config, const char *cgroup_folder,
                                               const char *pressure_file);
ostler_go_failure ostler_go_governor_forget(void);
ostler_go_failure ostler_go_governor_get_stats(ostler_governor_stats *out);
ostler_go_failure ostler_go_governor_get_coverage(ostler_coverage *out);
ostler_go_failure ostler_go_governor_repair(ostler_repair *out);
/* 0 when the library does not tell. */
uint64_t ostler_go_governor_held_bytes(void);
ostler_go_counted ostler_go_governor_list_accounts(ostler_account_info *accounts, uint64_t capacity);
ostler_go_counted ostler_go_governor_suggest(ostler_suggestion *suggestions, uint64_t capacity);
ostler_go_reclaimed ostler_go_governor_reclaim(uint64_t bytes, uint32_t up_to_kind, ostler_reclaimed *reclaimed,
                                               uint64_t capacity);
/* watch: what the callback gets; count is the watch's number. */
ostler_go_counted ostler_go_governor_watch(uintptr_t watch);
ostler_go_failure ostler_go_governor_unwatch(uint64_t watch_id);

/* reclaim: what the callback gets; 0 without one. */
ostler_go_created ostler_go_account_create(ostler_account_config config, uintptr_t parent, uintptr_t reclaim);
ostler_go_failure ostler_go_account_reserve(uintptr_t account, uint64_t bytes, uint32_t flags);
ostler_go_failure ostler_go_account_release(uintptr_t account, uint64_t bytes);
ostler_go_failure ostler_go_account_report(uintptr_t account, uint64_t bytes);
ostler_go_failure ostler_go_account_touch(uintptr_t account);
ostler_go_failure ostler_go_account_get_stats(uintptr_t account, ostler_account_stats *out);
ostler_go_failure ostler_go_account_destroy(uintptr_t account);

#endif
