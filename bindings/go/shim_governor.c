#include "shim_governor.h"
#include "_cgo_export.h"

ostler_go_failure ostler_go_governor_configure(ostler_governor_config config, const char *cgroup_folder,
                                               const char *pressure_file)
{
    config.cgroup_folder = cgroup_folder;
    config.pressure_file = pressure_file;
    return failure(ostler_governor_configure(&config));
}

ostler_go_failure ostler_go_governor_forget(void)
{
    return failure(ostler_governor_configure(NULL));
}

ostler_go_failure ostler_go_governor_get_stats(ostler_governor_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_governor_get_stats(out));
}

ostler_go_failure ostler_go_governor_get_coverage(ostler_coverage *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_governor_get_coverage(out));
}

ostler_go_failure ostler_go_governor_repair(ostler_repair *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_governor_repair(out));
}

uint64_t ostler_go_governor_held_bytes(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    return ostler_governor_get_stats(&stats) == OSTLER_OK ? stats.held_bytes : 0;
}

ostler_go_counted ostler_go_governor_list_accounts(ostler_account_info *accounts, uint64_t capacity)
{
    uint64_t count = 0;
    ostler_go_failure failed = failure(ostler_governor_list_accounts(accounts, capacity, &count));
    return (ostler_go_counted){failed, count};
}

ostler_go_counted ostler_go_governor_suggest(ostler_suggestion *suggestions, uint64_t capacity)
{
    uint64_t count = 0;
    ostler_go_failure failed = failure(ostler_governor_suggest(suggestions, capacity, &count));
    return (ostler_go_counted){failed, count};
}

ostler_go_reclaimed ostler_go_governor_reclaim(uint64_t bytes, uint32_t up_to_kind, ostler_reclaimed *reclaimed,
                                               uint64_t capacity)
{
    uint64_t count = 0, freed = 0;
    ostler_go_failure failed =
        failure(ostler_governor_reclaim(bytes, up_to_kind, reclaimed, capacity, &count, &freed));
    return (ostler_go_reclaimed){failed, count, freed};
}

static void tell(void *watch, const ostler_level_change *change)
{
    ostlerGoLevelChange((uintptr_t)watch, (ostler_level_change *)change);
}

ostler_go_counted ostler_go_governor_watch(uintptr_t watch)
{
    uint64_t id = 0;
    ostler_go_failure failed = failure(ostler_governor_watch(tell, (void *)watch, &id));
    return (ostler_go_counted){failed, id};
}

ostler_go_failure ostler_go_governor_unwatch(uint64_t watch_id)
{
    return failure(ostler_governor_unwatch(watch_id));
}

static ostler_status reclaim(void *account, uint64_t bytes, uint64_t *freed)
{
    struct ostlerGoReclaim_return answered = ostlerGoReclaim((uintptr_t)account, bytes);
    *freed = answered.r1;
    return answered.r0;
}

ostler_go_created ostler_go_account_create(ostler_account_config config, uintptr_t parent, uintptr_t reclaimer)
{
    ostler_account *account = NULL;
    config.parent = (ostler_account *)parent;
    if (reclaimer) {
        config.reclaim = reclaim;
        config.user_data = (void *)reclaimer;
    }
    ostler_go_failure failed = failure(ostler_account_create(&config, &account));
    return (ostler_go_created){failed, (uintptr_t)account};
}

ostler_go_failure ostler_go_account_reserve(uintptr_t account, uint64_t bytes, uint32_t flags)
{
    return failure(ostler_account_reserve((ostler_account *)account, bytes, flags));
}

ostler_go_failure ostler_go_account_release(uintptr_t account, uint64_t bytes)
{
    return failure(ostler_account_release((ostler_account *)account, bytes));
}

ostler_go_failure ostler_go_account_report(uintptr_t account, uint64_t bytes)
{
    return failure(ostler_account_report((ostler_account *)account, bytes));
}

ostler_go_failure ostler_go_account_touch(uintptr_t account)
{
    return failure(ostler_account_touch((ostler_account *)account));
}

ostler_go_failure ostler_go_account_get_stats(uintptr_t account, ostler_account_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_account_get_stats((ostler_account *)account, out));
}

ostler_go_failure ostler_go_account_destroy(uintptr_t account)
{
    return failure(ostler_account_destroy((ostler_account *)account));
}
