package ostler

// #include <stdlib.h>
// #include "shim_governor.h"
import "C"

import (
	"math"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"
)

// Level is how short memory is.
type Level uint32

const (
	LevelLow      Level = C.OSTLER_LEVEL_LOW
	LevelNormal   Level = C.OSTLER_LEVEL_NORMAL
	LevelHigh     Level = C.OSTLER_LEVEL_HIGH     // what can be done without should go
	LevelCritical Level = C.OSTLER_LEVEL_CRITICAL // only what is essential is granted
)

func (l Level) String() string {
	switch l {
	case LevelLow:
		return "low"
	case LevelNormal:
		return "normal"
	case LevelHigh:
		return "high"
	case LevelCritical:
		return "critical"
	}
	return "unknown"
}

// Pressure is what a level comes from.
type Pressure uint32

const (
	PressureNone         Pressure = C.OSTLER_PRESSURE_NONE
	PressureLimit        Pressure = C.OSTLER_PRESSURE_LIMIT // what is charged, against the configured limit
	PressureCgroup       Pressure = C.OSTLER_PRESSURE_CGROUP
	PressureMachine      Pressure = C.OSTLER_PRESSURE_MACHINE
	PressureAddressSpace Pressure = C.OSTLER_PRESSURE_ADDRESS_SPACE
	PressureNode         Pressure = C.OSTLER_PRESSURE_NODE
	PressureStall        Pressure = C.OSTLER_PRESSURE_STALL // threads wait for memory
)

// ReclaimCost is what it costs to get memory back, least first.
type ReclaimCost uint32

const (
	ReclaimEmpty   ReclaimCost = C.OSTLER_RECLAIM_EMPTY // nothing: it is empty
	ReclaimLazy    ReclaimCost = C.OSTLER_RECLAIM_LAZY
	ReclaimPool    ReclaimCost = C.OSTLER_RECLAIM_POOL
	ReclaimCompact ReclaimCost = C.OSTLER_RECLAIM_COMPACT
	ReclaimWorker  ReclaimCost = C.OSTLER_RECLAIM_WORKER
)

// GovernorConfig is how much memory the process may hold, and when that is how short. Zeros are the defaults of
// ostler_governor_config.
type GovernorConfig struct {
	LimitBytes   uint64 // 0: no limit of its own
	LimitPercent int    // of what the kernel allows; 0: no such limit

	NormalPercent        int
	HighPercent          int
	CriticalPercent      int
	HysteresisPercent    int
	StallHighPercent     int
	StallCriticalPercent int
	Tick                 time.Duration
	CoolDown             time.Duration

	// CoveragePeriod is how often it looks at what has become of the memory of each object, below 0: never.
	CoveragePeriod time.Duration

	SuggestOnly  bool   // memory is asked back only by Reclaim
	CgroupFolder string // empty: the group that this process is in
	PressureFile string // empty: where the kernel mostly tells
}

// ConfigureGovernor governs the process from now on, in place of what was configured before.
func ConfigureGovernor(config GovernorConfig) error {
	var given arguments
	wanted := C.ostler_governor_config{
		struct_size:            C.sizeof_ostler_governor_config,
		limit_bytes:            C.uint64_t(config.LimitBytes),
		limit_percent:          given.count("LimitPercent", config.LimitPercent),
		normal_percent:         given.count("NormalPercent", config.NormalPercent),
		high_percent:           given.count("HighPercent", config.HighPercent),
		critical_percent:       given.count("CriticalPercent", config.CriticalPercent),
		hysteresis_percent:     given.count("HysteresisPercent", config.HysteresisPercent),
		stall_high_percent:     given.count("StallHighPercent", config.StallHighPercent),
		stall_critical_percent: given.count("StallCriticalPercent", config.StallCriticalPercent),
		tick_ns:                given.span("Tick", config.Tick),
		cool_down_ns:           given.span("CoolDown", config.CoolDown),
		suggest_only:           flag(config.SuggestOnly),
	}
	if config.CoveragePeriod < 0 {
		wanted.coverage_period_ns = C.OSTLER_FOREVER
	} else {
		wanted.coverage_period_ns = given.span("CoveragePeriod", config.CoveragePeriod)
	}
	if given.err != nil {
		return given.err
	}
	folder, pressure := optionalText(config.CgroupFolder), optionalText(config.PressureFile)
	defer C.free(unsafe.Pointer(folder))
	defer C.free(unsafe.Pointer(pressure))
	return failure(C.ostler_go_governor_configure(wanted, folder, pressure))
}

// optionalText is NULL for an empty string; the caller frees it.
func optionalText(text string) *C.char {
	if text == "" {
		return nil
	}
	return C.CString(text)
}

// ForgetGovernor leaves everything as before the first ConfigureGovernor.
func ForgetGovernor() error { return failure(C.ostler_go_governor_forget()) }

// GovernorStats is what the process holds, how much it may, and what the kernel says beside that.
type GovernorStats struct {
	LimitBytes            uint64 // the least of all limits; math.MaxUint64 without one
	ConfiguredLimitBytes  uint64 // math.MaxUint64 without one
	HeldBytes             uint64 // charged to all accounts
	PeakHeldBytes         uint64
	HugePoolBytes         uint64
	DeviceBytes           uint64
	Accounts              uint64
	Refusals              uint64
	ResidentBytes         uint64 // measured
	BesideBytes           uint64 // measured: what counts against the tightest limit and is charged to no account
	CgroupLimitBytes      uint64 // math.MaxUint64 without one
	CgroupUsedBytes       uint64 // measured
	MachineBytes          uint64
	MachineAvailableBytes uint64 // measured
	Level                 Level
	Pressure              Pressure
	ExcessBytes           uint64 // how much must go before the level is no longer high
	Reclaims              uint64
	ReclaimedBytes        uint64
	Seen                  Seen // of all accounts together
}

// GetGovernorStats asks the kernel anew.
func GetGovernorStats() (GovernorStats, error) {
	var stats C.ostler_governor_stats
	if err := failure(C.ostler_go_governor_get_stats(&stats)); err != nil {
		return GovernorStats{}, err
	}
	return GovernorStats{
		LimitBytes: uint64(stats.limit_bytes), ConfiguredLimitBytes: uint64(stats.configured_limit_bytes),
		HeldBytes: uint64(stats.held_bytes), PeakHeldBytes: uint64(stats.peak_held_bytes),
		HugePoolBytes: uint64(stats.huge_pool_bytes), DeviceBytes: uint64(stats.device_bytes),
		Accounts: uint64(stats.accounts), Refusals: uint64(stats.refusals),
		ResidentBytes: uint64(stats.resident_bytes), BesideBytes: uint64(stats.beside_bytes),
		CgroupLimitBytes: uint64(stats.cgroup_limit_bytes), CgroupUsedBytes: uint64(stats.cgroup_used_bytes),
		MachineBytes: uint64(stats.machine_bytes), MachineAvailableBytes: uint64(stats.machine_available_bytes),
		Level: Level(stats.level), Pressure: Pressure(stats.pressure), ExcessBytes: uint64(stats.excess_bytes),
		Reclaims: uint64(stats.reclaims), ReclaimedBytes: uint64(stats.reclaimed_bytes),
		Seen: seenOf(&stats.seen),
	}, nil
}

// AccountInfo is what an account is and holds.
type AccountInfo struct {
	ID         uint64
	ParentID   uint64 // 0: none
	Name       string
	Holder     uint32 // OSTLER_HOLDER_...
	HeldBytes  uint64
	PeakBytes  uint64
	LimitBytes uint64 // 0: none
	Seen       Seen
}

// GovernorAccounts lists the accounts that are open, the largest first.
func GovernorAccounts() ([]AccountInfo, error) {
	entries, err := listed(func(room *C.ostler_account_info, capacity C.uint64_t) C.ostler_go_counted {
		return C.ostler_go_governor_list_accounts(room, capacity)
	})
	var accounts []AccountInfo
	for i := range entries {
		entry := &entries[i]
		accounts = append(accounts, AccountInfo{
			ID: uint64(entry.id), ParentID: uint64(entry.parent_id), Name: C.GoString(&entry.name[0]),
			Holder: uint32(entry.holder), HeldBytes: uint64(entry.held_bytes), PeakBytes: uint64(entry.peak_bytes),
			LimitBytes: uint64(entry.limit_bytes), Seen: seenOf(&entry.seen),
		})
	}
	return accounts, err
}

// listed asks for all entries of a list that may grow meanwhile.
func listed[E any](list func(room *E, capacity C.uint64_t) C.ostler_go_counted) ([]E, error) {
	for room := 64; ; {
		entries := make([]E, room)
		counted := list(&entries[0], C.uint64_t(room))
		if err := failure(counted.failure); err != nil {
			return nil, err
		}
		if count := int(counted.count); count <= room {
			return entries[:count], nil
		} else {
			room = count
		}
	}
}

// Suggestion is memory that somebody could give back.
type Suggestion struct {
	AccountID uint64 // 0: no account is charged for it
	Name      string
	Holder    uint32
	Cost      ReclaimCost
	Bytes     uint64
	Idle      time.Duration
}

// GovernorSuggestions tells who could give memory back, in the order in which they would be asked.
func GovernorSuggestions() ([]Suggestion, error) {
	entries, err := listed(func(room *C.ostler_suggestion, capacity C.uint64_t) C.ostler_go_counted {
		return C.ostler_go_governor_suggest(room, capacity)
	})
	var suggestions []Suggestion
	for i := range entries {
		suggestions = append(suggestions, suggestion(&entries[i]))
	}
	return suggestions, err
}

func suggestion(entry *C.ostler_suggestion) Suggestion {
	return Suggestion{
		AccountID: uint64(entry.account_id), Name: C.GoString(&entry.name[0]), Holder: uint32(entry.holder),
		Cost: ReclaimCost(entry.kind), Bytes: uint64(entry.bytes), Idle: time.Duration(entry.idle_ns),
	}
}

// Reclaimed is what somebody was asked to give back, and what came of it.
type Reclaimed struct {
	From          Suggestion
	AskedBytes    uint64
	ClaimedBytes  uint64 // what it says to have freed
	FreedBytes    uint64 // what is charged less
	ResidentBytes uint64 // measured: what is resident less
}

// Reclaim asks for memory back until so much is freed, up to a cost, and tells how much was. Of more than 64 who were
// asked only the first are told of.
func Reclaim(bytes uint64, upTo ReclaimCost) (freed uint64, from []Reclaimed, err error) {
	var room [64]C.ostler_reclaimed
	done := C.ostler_go_governor_reclaim(C.uint64_t(bytes), C.uint32_t(upTo), &room[0], C.uint64_t(len(room)))
	if err := failure(done.failure); err != nil {
		return 0, nil, err
	}
	for i := range min(int(done.count), len(room)) {
		one := &room[i]
		from = append(from, Reclaimed{
			From: suggestion(&one.from), AskedBytes: uint64(one.asked_bytes), ClaimedBytes: uint64(one.claimed_bytes),
			FreedBytes: uint64(one.freed_bytes), ResidentBytes: uint64(one.resident_bytes),
		})
	}
	return uint64(done.freed_bytes), from, nil
}

// LevelChange is a change of the level, as it is told of.
type LevelChange struct {
	Level      Level
	Before     Level
	Pressure   Pressure
	HeldBytes  uint64
	LimitBytes uint64
}

var levelWatches registry[func(LevelChange)]

// WatchLevel has a function called at each change of the level, until stop is called. It is called on a thread of the
// library, which it holds up.
func WatchLevel(changed func(LevelChange)) (stop func() error, err error) {
	id := levelWatches.add(changed)
	watching := C.ostler_go_governor_watch(C.uintptr_t(id))
	if err := failure(watching.failure); err != nil {
		levelWatches.take(id)
		return nil, err
	}
	return sync.OnceValue(func() error {
		defer levelWatches.take(id)
		return failure(C.ostler_go_governor_unwatch(watching.count))
	}), nil
}

//export ostlerGoLevelChange
func ostlerGoLevelChange(id C.uintptr_t, change *C.ostler_level_change) {
	if changed, found := levelWatches.get(uintptr(id)); found {
		unanswerable("level", func() {
			changed(LevelChange{
				Level: Level(change.level), Before: Level(change.level_before), Pressure: Pressure(change.pressure),
				HeldBytes: uint64(change.held_bytes), LimitBytes: uint64(change.limit_bytes),
			})
		})
	}
}

// AccountConfig is what an account is for.
type AccountConfig struct {
	Name       string
	LimitBytes uint64   // 0: no limit of its own
	Parent     *Account // is charged for the same bytes
	Device     bool     // memory of a device, which counts against no limit but this one
	Essential  bool     // reservations are granted while memory is critically short, too

	// Reclaim frees about so many bytes that the account holds, releases or reports that, and tells how much it was.
	// nil: what the account holds cannot be done without.
	Reclaim func(bytes uint64) (freed uint64, err error)
	Cost    ReclaimCost // of getting back what Reclaim frees
}

var reclaims registry[func(uint64) (uint64, error)]

// Account is memory that the program takes itself, or holds already, in the governor's books.
type Account struct {
	handle  C.uintptr_t
	reclaim uintptr
}

// NewAccount opens an account, which ends with Close.
func NewAccount(config AccountConfig) (*Account, error) {
	var given arguments
	wanted := C.ostler_account_config{
		struct_size: C.sizeof_ostler_account_config,
		limit_bytes: C.uint64_t(config.LimitBytes),
		essential:   flag(config.Essential),
	}
	if config.Device {
		wanted.holder = C.OSTLER_HOLDER_DEVICE
	}
	given.name(config.Name, &wanted.name)
	if given.err != nil {
		return nil, given.err
	}
	account := &Account{}
	if config.Reclaim != nil {
		wanted.reclaim_kind = C.uint32_t(config.Cost)
		account.reclaim = reclaims.add(config.Reclaim)
	}
	var parent C.uintptr_t
	if config.Parent != nil {
		parent = config.Parent.handle
	}
	created := C.ostler_go_account_create(wanted, parent, C.uintptr_t(account.reclaim))
	if err := failure(created.failure); err != nil {
		reclaims.take(account.reclaim)
		return nil, err
	}
	account.handle = created.handle
	return account, nil
}

//export ostlerGoReclaim
func ostlerGoReclaim(id C.uintptr_t, bytes C.uint64_t) (C.ostler_status, C.uint64_t) {
	reclaim, found := reclaims.get(uintptr(id))
	if !found {
		return answer(errGone), 0
	}
	var freed uint64
	err := guarded(func() (err error) {
		freed, err = reclaim(uint64(bytes))
		return err
	})
	return answer(err), C.uint64_t(freed)
}

// Reserve asks for memory before it is taken. Granted bytes are held until they are released.
func (a *Account) Reserve(bytes uint64) error {
	return failure(C.ostler_go_account_reserve(a.handle, C.uint64_t(bytes), 0))
}

// ReserveEssential is Reserve for what cannot wait until there is more memory.
func (a *Account) ReserveEssential(bytes uint64) error {
	return failure(C.ostler_go_account_reserve(a.handle, C.uint64_t(bytes), C.OSTLER_RESERVE_ESSENTIAL))
}

// Release ends a reservation, or a part of it.
func (a *Account) Release(bytes uint64) error {
	return failure(C.ostler_go_account_release(a.handle, C.uint64_t(bytes)))
}

// Report tells what is held beside the reservations, in place of what was told before.
func (a *Account) Report(bytes uint64) error {
	return failure(C.ostler_go_account_report(a.handle, C.uint64_t(bytes)))
}

// Touch tells that what the account holds was of use just now.
func (a *Account) Touch() error { return failure(C.ostler_go_account_touch(a.handle)) }

// AccountStats is what an account holds.
type AccountStats struct {
	HeldBytes     uint64
	ReservedBytes uint64
	ReportedBytes uint64
	PeakBytes     uint64
	LimitBytes    uint64 // 0: none
}

// Stats tells what the account holds.
func (a *Account) Stats() (AccountStats, error) {
	var stats C.ostler_account_stats
	if err := failure(C.ostler_go_account_get_stats(a.handle, &stats)); err != nil {
		return AccountStats{}, err
	}
	return AccountStats{
		HeldBytes: uint64(stats.held_bytes), ReservedBytes: uint64(stats.reserved_bytes),
		ReportedBytes: uint64(stats.reported_bytes), PeakBytes: uint64(stats.peak_bytes),
		LimitBytes: uint64(stats.limit_bytes),
	}, nil
}

// Close ends the account: what it holds is held no more. A second Close does nothing.
func (a *Account) Close() error {
	handle := a.handle
	a.handle = 0
	err := failure(C.ostler_go_account_destroy(handle))
	if err != nil {
		a.handle = handle
		return err
	}
	reclaims.take(a.reclaim)
	return nil
}

// FollowMemoryLimit keeps the memory limit of Go's runtime (GOMEMLIMIT) at limit without what the library holds, which
// the runtime does not see, until stop is called; then the limit is what it was. The limit is adapted at every interval; 0:
// once in a second. At least a quarter of the limit is always left to Go, so that its collector does not run without end.
func FollowMemoryLimit(limit int64, interval time.Duration) (stop func()) {
	if interval <= 0 {
		interval = time.Second
	}
	before := debug.SetMemoryLimit(-1)
	adapt := func() {
		held := min(uint64(C.ostler_go_governor_held_bytes()), math.MaxInt64)
		debug.SetMemoryLimit(max(limit-int64(held), limit/4))
	}
	adapt()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				adapt()
			case <-done:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(done)
		<-ended
		debug.SetMemoryLimit(before)
	})
}
